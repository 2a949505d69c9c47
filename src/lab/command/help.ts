import { BACKENDS, FAULTS } from './options.ts';

export const HELP = `flannelctl lab - a cluster network on this machine, in namespaces of its own

usage: flannelctl lab [command] [flags]          (npm run lab -- [command] [flags])

  (no command)            up, verify, walk, down; exit code 0 only when every check held
  up                      nodes, the overlay between them, pods, an outside world; leaves them running
      --nodes <1..50>       default 3
      --pods <1..20>        pods per node, default 2
      --backend <type>      ${BACKENDS.join(', ')}
      --manager <kube|etcd> where the agents get their subnets: a stand-in for the Kubernetes API, or a real etcd
      --nftables            traffic rules in nftables (default: iptables where it is installed)
      --iptables            traffic rules in iptables
  status                  nodes, subnets, VTEPs, peers, pods
  exec <pod|node|world> -- <command>
                          runs a command there, e.g. lab exec n1-a -- ip route
  verify                  checks the Kubernetes network model with real packets
  walk [<pod> <pod|node|world>]
                          follows one packet and explains every hop; without ends one of each kind
  page                    serves a page with all nodes, on which a packet can be sent and followed, until Ctrl-C
      --addr <ip:port>      default 127.0.0.1:8475
  break <fault> [--node <name>]
                          breaks something and shows how long until all is well again
                          faults: ${FAULTS.join(', ')}
  migrate                 a cluster as the original leaves it, taken over node by node and given back, with packets between
                          all pods the whole time; exit code 0 only when none was lost and no kernel was written to
                          takes --nodes, --backend, --nftables, --iptables
  down                    removes everything, also after a killed run

  --name <name>           every command: which lab; several live side by side (default: lab)

Everything happens in namespaces that go with the lab. No packet leaves this machine. Needs root, or a kernel that
allows unprivileged user namespaces (npm run lab).
`;
