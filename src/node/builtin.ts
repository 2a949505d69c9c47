/**
 * Modules of Node, loaded at the first use: a plugin's process lives milliseconds and needs hardly any of them.
 */
export const builtin = {
  get childProcess() {
    return process.getBuiltinModule('node:child_process');
  },
  get crypto() {
    return process.getBuiltinModule('node:crypto');
  },
  get fs() {
    return process.getBuiltinModule('node:fs');
  },
  get http() {
    return process.getBuiltinModule('node:http');
  },
  get https() {
    return process.getBuiltinModule('node:https');
  },
  get stream() {
    return process.getBuiltinModule('node:stream');
  },
  get zlib() {
    return process.getBuiltinModule('node:zlib');
  },
} as const;
