// install-cni as a process that can be killed: <source> <folder of the host> <conflist>. Reads standard input first, as kill-points.ts wants it.
import { readFileSync } from 'node:fs';
import { installMain } from '#cli/install/main.ts';

const [source = '', host = '', list = ''] = process.argv.slice(2);
readFileSync(0);
const args = ['--bin-dir', `${host}/bin`, '--conf-dir', `${host}/net.d`, '--conf-file', list];
process.exitCode = await installMain(args, { source, say: () => {} });
