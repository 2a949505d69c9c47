import { pluginMain } from '#cni/main.ts';
import { PLUGIN_NAMES } from '#cni/plugin.ts';

// One plugin call in a process of its own, as a runtime makes it: `bun cni-entry.ts <plugin>`.
const name = PLUGIN_NAMES.find((entry) => entry === process.argv[2]);
if (name === undefined) throw new Error(`no plugin ${process.argv[2]}`);
process.exit(await pluginMain(name));
