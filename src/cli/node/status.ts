import type { Screen } from '#lab/report/screen.ts';
import { FAMILIES } from '#net/family.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { NUD, RT_TABLE } from '#rtnetlink/constants.ts';
import { programRunner } from '#traffic/exec.ts';
import { readLiveChains, type LiveChain } from '#traffic/live-chains.ts';
import { differenceOf } from '#daemon/inspect/difference.ts';
import type { NodeOptions } from './options.ts';
import { document } from './output.ts';
import { reportOf, type DeviceCount, type StatusReport } from './status-report.ts';
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
  const { overlay, noAgent } = view;
  const { runDir, ipamDir } = options;
  const difference =
    overlay === undefined ? undefined : await differenceOf(overlay, { runDir, env: process.env });
  const kernel = overlay === undefined ? countEntries() : [];
  const chains = noAgent === undefined ? undefined : await liveChains();
  return reportOf({ view, difference, ipamDir, kernel, chains, now: Date.now() });
}

async function liveChains(): Promise<LiveChain[]> {
  const run = programRunner({ env: process.env, timeoutMs: 10_000 });
  return (await Promise.all(FAMILIES.map((family) => readLiveChains(family, run)))).flat();
}

/** What stands on devices that only Flannel's VXLAN has names like. */
function countEntries(): DeviceCount[] {
  using net = Rtnetlink.open();
  const ours = net
    .links()
    .filter(({ name, kind }) => kind?.type === 'vxlan' && /^flannel(-v6)?\.\d+$/.test(name));
  return ours.map(({ index: link, name, up }) => ({
    device: name,
    up,
    routes: FAMILIES.flatMap((family) => net.routes({ family, table: RT_TABLE.MAIN, link })).filter(
      ({ gateway }) => gateway !== undefined,
    ).length,
    neighbours: FAMILIES.flatMap((family) => net.neighbours({ link, family })).filter(
      ({ state }) => (state & NUD.PERMANENT) !== 0,
    ).length,
    fdb: net.fdb({ link }).filter(({ dst }) => dst !== undefined).length,
  }));
}
