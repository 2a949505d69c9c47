import { describe } from '#base/errors.ts';
import { bridgePlugin } from '../bridge/plugin.ts';
import { executePlugin } from '../delegate.ts';
import { field, type JsonObject } from '../json.ts';
import { readNetConf, validAttachments, type Invocation, type Plugin } from '../plugin.ts';
import { EMPTY_RESULT, type CniResult } from '../result.ts';
import { ipamOf } from '../ipam.ts';
import { delegateConfig, delegateType, ipamType, parseFlannel, type FlannelConfig } from './config.ts';
import {
  addPortMappings,
  checkPortMappings,
  collectPortMappings,
  removePortMappings,
  saysMappings,
} from './port-mappings.ts';
import { AGENT_WAIT, awaitSubnetEnv } from './readiness.ts';
import { collectScratch, loadScratch, removeScratch, saveScratch } from './scratch.ts';

/** The plugin that does the work: `bridge` inside this process, every other one executed. */
function delegateOf(type: string): Plugin {
  if (type === 'bridge') return bridgePlugin;
  const run = (call: Invocation): void => void executePlugin(type, call);
  return {
    add: (call) => executePlugin(type, call) ?? EMPTY_RESULT,
    del: run,
    check: run,
    gc: run,
    status: run,
  };
}

function delegateCall(call: Invocation, raw: JsonObject): Invocation {
  return { ...call, conf: readNetConf(raw) };
}

async function add(call: Invocation): Promise<CniResult> {
  const config = parseFlannel(call.conf);
  const env = awaitSubnetEnv(config.subnetFile, call.host, AGENT_WAIT);
  const raw = delegateConfig(call.conf, config, env);
  const earlier = loadScratch(config.dataDir, call.args.containerId, call.conf.name);
  saveScratch(config.dataDir, call.args.containerId, raw);
  const delegate = delegateOf(delegateType(raw));
  try {
    const result = await delegate.add(delegateCall(call, raw));
    if (saysMappings(call.conf.raw))
      await addMapped(call, result, () => delegate.del(asDel(delegateCall(call, raw))));
    return result;
  } catch (error) {
    // The delegate took back what it made; DEL, should it come, rebuilds the configuration. A second ADD for a container
    // that is running fails, too: what the first one kept stays.
    if (earlier === undefined) removeScratch(config.dataDir, call.args.containerId);
    else saveScratch(config.dataDir, call.args.containerId, earlier);
    throw error;
  }
}

/** A pod whose ports cannot be mapped is taken back whole. */
async function addMapped(call: Invocation, result: CniResult, takeBack: () => unknown): Promise<void> {
  try {
    await addPortMappings(call, result);
  } catch (error) {
    try {
      await removePortMappings(asDel(call), undefined);
    } finally {
      await takeBack();
    }
    throw error;
  }
}

function asDel(call: Invocation): Invocation {
  return { ...call, command: 'DEL' };
}

async function del(call: Invocation): Promise<void> {
  const config = parseFlannel(call.conf);
  const kept = loadScratch(config.dataDir, call.args.containerId, call.conf.name);
  await removePortMappings(call, kept);
  const raw = kept ?? rebuild(call, config);
  await delegateOf(delegateType(raw)).del(delegateCall(call, withPrevious(raw, call)));
  removeScratch(config.dataDir, call.args.containerId);
}

/** Without what ADD kept: the same merge; without the agent's file, what DEL needs of it, which is nothing but names. */
function rebuild(call: Invocation, config: FlannelConfig): JsonObject {
  try {
    return delegateConfig(call.conf, config, awaitSubnetEnv(config.subnetFile, call.host, 0));
  } catch (error) {
    call.host.warn(`flannel: ${call.command} goes on without subnet.env: ${describe(error)}`);
    // As if the agent did not masquerade: our bridge then looks for rules of its own to remove, which may not be there. A
    // foreign delegate may fail where there are none (ptp of 1.1.1 does): it is told that there are none.
    const ours = (config.delegate['type'] ?? 'bridge') === 'bridge';
    return delegateConfig(call.conf, config, { networks: {}, gateways: {}, mtu: 0, ipMasq: !ours });
  }
}

/** The runtime's `prevResult` belongs to the delegate: it has made all of it. */
function withPrevious(raw: JsonObject, call: Invocation): JsonObject {
  const prevResult = field(call.conf.raw, 'prevResult');
  return prevResult === undefined ? raw : { ...raw, prevResult };
}

async function check(call: Invocation): Promise<void> {
  const config = parseFlannel(call.conf);
  const raw = loadScratch(config.dataDir, call.args.containerId, call.conf.name) ?? rebuild(call, config);
  await delegateOf(delegateType(raw)).check(delegateCall(call, withPrevious(raw, call)));
  await checkPortMappings(call, raw);
}

async function gc(call: Invocation): Promise<void> {
  const config = parseFlannel(call.conf);
  const valid = new Set(validAttachments(call.conf).map(({ containerId }) => containerId));
  const raw = { ...rebuild(call, config), ...attachmentsOf(call) };
  const inner = delegateCall(call, raw);
  await collectPortMappings(call, ipamOf(ipamType(raw)).dead(inner));
  await delegateOf(delegateType(raw)).gc(inner);
  collectScratch(config.dataDir, call.conf.name, valid);
}

function attachmentsOf({ conf }: Invocation): JsonObject {
  return Object.fromEntries(Object.entries(conf.raw).filter(([key]) => key.startsWith('cni.dev/')));
}

async function status(call: Invocation): Promise<void> {
  const config = parseFlannel(call.conf);
  const { requireAgent } = await import('./status.ts');
  requireAgent(config.subnetFile, call.host);
  const raw = delegateConfig(call.conf, config, awaitSubnetEnv(config.subnetFile, call.host, 0));
  await delegateOf(delegateType(raw)).status(delegateCall(call, raw));
}

/** Merges the agent's `subnet.env` into the configuration of the delegate that wires the pod. */
export const flannelPlugin: Plugin = { add, del, check, gc, status };
