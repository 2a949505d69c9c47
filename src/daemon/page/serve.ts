import { cureOf, describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { pageUrl, parsePageAddress } from '#page/server/address.ts';
import { servedAt } from '#page/server/guard.ts';
import { createPageHandler } from '#page/server/handler.ts';
import { listenPage, type PageServer } from '#page/server/listen.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { agentAnswers, type AgentView } from './agent-answers.ts';
import { nodeSource } from './source.ts';

export interface AgentPageOptions {
  /** `--ui-addr` */
  readonly address: string;
  readonly agent: AgentView;
  readonly ipamDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** ms between attempts to listen; default 10,000. */
  readonly retry?: number;
}

/** The agent's page. That nobody can listen there is told to the log, tried again, and costs nothing else. */
export class AgentPage implements AsyncDisposable {
  readonly #options: AgentPageOptions;
  #server: PageServer | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #complaint = '';

  /** Throws ConfigError when the address is none. */
  constructor(options: AgentPageOptions) {
    this.#options = options;
    this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#server?.[Symbol.asyncDispose]();
  }

  #listen(): void {
    const { log, retry = 10_000 } = this.#options;
    const address = parsePageAddress(this.#options.address, '--ui-addr');
    try {
      this.#server = listenPage(address, this.#handler(address.ip));
    } catch (error) {
      const text = describe(error);
      const cure = cureOf(error);
      if (text !== this.#complaint)
        log.warn('there is no page; trying again', { error: text, ...(cure === undefined ? {} : { cure }) });
      this.#complaint = text;
      if (!this.#closed) this.#timer = setTimeout(() => this.#listen(), retry);
      return;
    }
    const where = { address: pageUrl(this.#server.address) };
    log.info('the page is there', where);
    if (!address.ip.isLoopback())
      log.warn('the page is open to everybody who reaches this address, without a password', {
        ...where,
        what: 'names and addresses of all nodes and pods, rules, repairs',
        cure: 'Use --ui-addr=127.0.0.1:<port> with kubectl port-forward or ssh -L',
      });
  }

  #handler(ip: Parameters<typeof servedAt>[0]): (request: Request) => Promise<Response> {
    const { agent, ipamDir, env, log } = this.#options;
    return createPageHandler({
      source: nodeSource({
        answers: agentAnswers(agent, Date.now()),
        openKernel: () => Rtnetlink.open(),
        now: () => Date.now(),
        ipamDir,
        // The agent never leaves its namespace.
        enter: false,
        env,
      }),
      files: async () => (await import('#page/server/assets.ts')).pageFiles,
      isServed: servedAt(ip),
      onFault: (error) => log.error('the page: an answer failed', { error: describe(error) }),
    });
  }
}
