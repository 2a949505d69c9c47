import { cureOf, describe, FlannelError } from '#base/errors.ts';
import { tryReadText } from '#ffi/file-system.ts';
import type { Overlay } from '#daemon/inspect/overlay.ts';
import { parseOverlay } from '#daemon/inspect/overlay-parse.ts';
import { parseStatus, type AgentStatus } from '#daemon/inspect/agent-status.ts';
import { askAgent, NoAgent } from '#daemon/inspect/ask.ts';
import type { NodeOptions } from './options.ts';
import { overlayFromRecord, statusFile } from './record.ts';

/** What is known of this node without looking into the kernel. */
export interface NodeView {
  /** Why the agent does not answer; undefined: it does, and the rest is from it. Else from its files. */
  readonly noAgent: string | undefined;
  readonly status: AgentStatus | undefined;
  readonly overlay: Overlay | undefined;
  /** Why there is no overlay. */
  readonly noOverlay: FlannelError | undefined;
}

/** Asks the agent, and without it its files. */
export async function viewNode(options: NodeOptions): Promise<NodeView> {
  const { status, noAgent } = await statusOfNode(options);
  const plan = () => (noAgent === undefined ? planOfAgent(options) : overlayFromRecord(options, status));
  return { noAgent, status, ...(await attempt(plan)) };
}

/** What the agent says of itself, or what it said last. */
export async function statusOfNode(options: NodeOptions): Promise<Pick<NodeView, 'status' | 'noAgent'>> {
  try {
    return { status: parseStatus(await askAgent(options.socket, '/status')), noAgent: undefined };
  } catch (error) {
    if (!(error instanceof NoAgent)) throw error;
    return { status: statusFromFile(options), noAgent: describe(error) };
  }
}

/** The plan, from the agent or without it. Throws FlannelError when there is none. */
export async function overlayOfNode(
  options: NodeOptions,
): Promise<{ readonly overlay: Overlay; readonly noAgent: string | undefined }> {
  try {
    return { overlay: await planOfAgent(options), noAgent: undefined };
  } catch (error) {
    if (!(error instanceof NoAgent)) throw error;
    const noAgent = describe(error);
    try {
      return { overlay: await overlayFromRecord(options, statusFromFile(options)), noAgent };
    } catch (cause) {
      if (!(cause instanceof FlannelError) || cause.actor === 'bug') throw cause;
      const cure = cureOf(cause);
      throw new FlannelError(
        'operator',
        `${noAgent}, and without it: ${describe(cause)}`,
        cure === undefined ? {} : { cure },
      );
    }
  }
}

async function planOfAgent({ socket }: NodeOptions): Promise<Overlay> {
  return parseOverlay(await askAgent(socket, '/plan'));
}

/** What it said last; undefined when there is no file, or not one of ours. */
function statusFromFile(options: NodeOptions): AgentStatus | undefined {
  try {
    const text = tryReadText(statusFile(options));
    return text === undefined ? undefined : parseStatus(text);
  } catch (error) {
    if (error instanceof FlannelError) return undefined;
    throw error;
  }
}

async function attempt(make: () => Promise<Overlay>): Promise<Pick<NodeView, 'overlay' | 'noOverlay'>> {
  try {
    return { overlay: await make(), noOverlay: undefined };
  } catch (error) {
    if (!(error instanceof FlannelError) || error.actor === 'bug') throw error;
    return { overlay: undefined, noOverlay: error };
  }
}
