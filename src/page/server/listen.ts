import { describe, FlannelError } from '#base/errors.ts';
import { pageUrl, type PageAddress } from './address.ts';
import { BODY_LIMIT } from './body.ts';

export interface PageServer extends AsyncDisposable {
  /** With the port that it really has. */
  readonly address: PageAddress;
}

/** Serves until disposed. Throws FlannelError when nobody can listen there. */
export function listenPage(
  address: PageAddress,
  handler: (request: Request) => Promise<Response>,
): PageServer {
  try {
    const server = Bun.serve({
      hostname: address.ip.toString(),
      port: address.port,
      fetch: handler,
      // Its own page of errors shows the source.
      development: false,
      // Without development it is on by default: two servers would share the port, each with half of the questions.
      reusePort: false,
      maxRequestBodySize: BODY_LIMIT,
    });
    return {
      address: { ip: address.ip, port: server.port ?? address.port },
      [Symbol.asyncDispose]: () => server.stop(true),
    };
  } catch (error) {
    throw new FlannelError('operator', `the page: cannot listen on ${pageUrl(address)}: ${describe(error)}`, {
      cause: error,
      cure: 'Choose another port, or stop the program that holds it',
    });
  }
}
