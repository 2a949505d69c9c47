import { ipamOf } from '../ipam.ts';
import type { Plugin } from '../plugin.ts';
import { bridgeAdd } from './add.ts';
import { bridgeCheck } from './check.ts';
import { parseBridge, parseIdentity } from './config.ts';
import { bridgeDel } from './del.ts';

/** A pod's veth pair on a bridge of the node. */
export const bridgePlugin: Plugin = {
  add: bridgeAdd,
  del: bridgeDel,
  check: bridgeCheck,
  gc(call) {
    const { ipamType } = parseIdentity(call.conf);
    if (ipamType !== undefined) ipamOf(ipamType).gc(call);
  },
  status(call) {
    const { ipamType } = parseBridge(call.conf, call.args);
    if (ipamType !== undefined) ipamOf(ipamType).status(call);
  },
};
