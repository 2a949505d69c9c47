import { ipamOf } from '../ipam.ts';
import type { Plugin } from '../plugin.ts';
import { bridgeAdd } from './add.ts';
import { bridgeCheck } from './check.ts';
import { parseBridge } from './config.ts';
import { bridgeDel } from './del.ts';
import { bridgeGc } from './gc.ts';

/** A pod's veth pair on a bridge of the node. */
export const bridgePlugin: Plugin = {
  add: bridgeAdd,
  del: bridgeDel,
  check: bridgeCheck,
  gc: bridgeGc,
  status(call) {
    const { ipamType } = parseBridge(call.conf, call.args);
    if (ipamType !== undefined) ipamOf(ipamType).status(call);
  },
};
