import type { PluginName } from './plugin.ts';
import { renderVersions } from './supported-versions.ts';

/** A plugin's process. VERSION, which runtimes ask again and again, is answered without loading the plugin. */
export async function startPlugin(name: PluginName): Promise<number> {
  if (process.env['CNI_COMMAND'] !== 'VERSION') return (await import('./main.ts')).pluginProcess(name);
  console.log(renderVersions().trimEnd());
  return 0;
}
