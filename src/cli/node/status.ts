import type { Screen } from '#lab/report/screen.ts';
import { differenceOf } from './difference.ts';
import type { NodeOptions } from './options.ts';
import { document } from './output.ts';
import { reportOf, type StatusReport } from './status-report.ts';
import { statusText } from './status-text.ts';
import { viewNode } from './view.ts';

/** `flannelctl status`: 0 when the agent runs and does its work. */
export async function status(options: NodeOptions, screen: Screen): Promise<number> {
  const report = await look(options);
  const { form } = options;
  if (form === 'json' || form === 'yaml') screen.write(document(form, report));
  else screen.lines(statusText(report, { screen, wide: form === 'wide', now: Date.now() }));
  return report.ready ? 0 : 1;
}

async function look(options: NodeOptions): Promise<StatusReport> {
  const view = await viewNode(options);
  const { overlay } = view;
  const { runDir, ipamDir } = options;
  const difference =
    overlay === undefined ? undefined : await differenceOf(overlay, { runDir, env: process.env });
  return reportOf({ view, difference, ipamDir, now: Date.now() });
}
