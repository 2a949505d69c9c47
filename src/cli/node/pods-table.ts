import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Screen } from '#lab/report/screen.ts';
import { table, type Column } from '#lab/report/table.ts';
import { document } from './output.ts';
import type { NodeOptions } from './options.ts';
import { podsOf, type Pod } from '#daemon/inspect/pods.ts';

/** As much of a container's id as people use. */
const ID = 12;

const COLUMNS: readonly Column[] = [
  { title: 'address' },
  { title: 'container' },
  { title: 'interface' },
  { title: 'veth' },
  { title: 'since boot' },
  { title: 'namespace' },
];
const WIDE: readonly Column[] = [
  ...COLUMNS,
  { title: 'MAC' },
  { title: 'network' },
  { title: 'namespace file' },
];

/** `flannelctl pods`: needs no agent, so it asks none. */
export function pods(options: NodeOptions, screen: Screen): number {
  using net = Rtnetlink.open();
  const list = podsOf(net, options);
  const { form, bridge, ipamDir } = options;
  if (form === 'json' || form === 'yaml') {
    screen.write(document(form, { bridge, pods: list }));
    return 0;
  }
  if (list.length === 0) {
    screen.line(`no pods: ${bridge} has no ports, and nothing is reserved in ${ipamDir}`);
    return 0;
  }
  const columns = form === 'wide' ? WIDE : COLUMNS;
  screen.lines(
    table(
      columns,
      list.map((pod) => cells(pod, { wide: form === 'wide', screen })),
    ),
  );
  return 0;
}

function cells(pod: Pod, { wide, screen }: { readonly wide: boolean; readonly screen: Screen }): string[] {
  const { addresses, container, veth, up, sinceBoot, namespace, mac, network, netns } = pod;
  const boot = sinceBoot === undefined ? '?' : sinceBoot ? 'yes' : screen.paint('red', 'no');
  const cable = veth === undefined ? screen.paint('red', 'none') : `${veth}${up === false ? ' (down)' : ''}`;
  const name = container === undefined ? '-' : wide ? container : container.slice(0, ID);
  return [
    addresses.length === 0 ? 'not reserved' : addresses.join('\n'),
    name,
    pod.interface ?? '-',
    cable,
    boot,
    namespace === 'gone' ? screen.paint('red', namespace) : namespace,
    mac?.toString() ?? '-',
    network ?? '-',
    netns ?? '-',
  ];
}
