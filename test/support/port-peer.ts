export type Transport = 'tcp' | 'udp';

/** What a server saw and said, e.g. `pod1 from 10.244.1.1`; undefined: no answer. */
export type Answer = string | undefined;

interface Question {
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
  /** UDP: keep one flow over several questions. */
  readonly sourcePort?: number;
}

/** A process in some namespace that serves and asks on command: starting one per packet would take too long. */
export class PortPeer implements AsyncDisposable {
  readonly #child;
  readonly #lines: AsyncIterator<string>;

  /** `netns`: a name of `ip netns`; undefined: the namespace of this process. */
  constructor(netns: string | undefined) {
    const argv = [process.execPath, '-e', PROGRAM];
    this.#child = Bun.spawn(netns === undefined ? argv : ['ip', 'netns', 'exec', netns, ...argv], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    });
    this.#lines = lines(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** Answers on a port of all addresses with `name from <who asked>`. */
  async serve(transport: Transport, port: number, name: string): Promise<void> {
    await this.#call({ do: 'serve', transport, port, name });
  }

  async ask(transport: Transport, address: string, port: number, sourcePort?: number): Promise<Answer> {
    const question: Question = {
      transport,
      address,
      port,
      ...(sourcePort === undefined ? {} : { sourcePort }),
    };
    return (await this.#call({ do: 'ask', ...question })) ?? undefined;
  }

  async #call(command: object): Promise<string | null> {
    await this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    await this.#child.stdin.flush();
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error('the peer has ended');
    return JSON.parse(value) as string | null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.end();
    this.#child.kill();
    await this.#child.exited;
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}

const PROGRAM = `
const WAIT = 1500;
const sockets = new Map();
const plain = (address) => address.replace(/^::ffff:/, '');
async function serve({ transport, port, name }) {
  if (transport === 'tcp') {
    Bun.listen({ hostname: '::', port, socket: {
      data() {}, open(socket) { socket.end(name + ' from ' + plain(socket.remoteAddress)); } } });
  } else {
    await Bun.udpSocket({ hostname: '::', port, socket: {
      data(socket, data, from, address) { socket.send(name + ' from ' + plain(address), from, address); } } });
  }
  return 'ok';
}
function askTcp({ address, port }) {
  return new Promise((done) => {
    let text = '';
    const timer = setTimeout(() => done(null), WAIT);
    const end = () => { clearTimeout(timer); done(text === '' ? null : text); };
    Bun.connect({ hostname: address, port, socket: {
      data(socket, data) { text += data.toString(); }, end, close: end, error: end, connectError: end } }).catch(end);
  });
}
async function askUdp({ address, port, sourcePort }) {
  const key = sourcePort + address;
  let entry = sockets.get(key);
  if (entry === undefined) {
    entry = { answer: () => {} };
    const hostname = address.includes(':') ? '::' : '0.0.0.0';
    entry.socket = await Bun.udpSocket({ hostname, port: sourcePort ?? 0, socket: {
      data(socket, data) { entry.answer(data.toString()); }, error() {} } });
    if (sourcePort !== undefined) sockets.set(key, entry);
  }
  return new Promise((done) => {
    const timer = setTimeout(() => done(null), WAIT);
    entry.answer = (text) => { clearTimeout(timer); if (sourcePort === undefined) entry.socket.close(); done(text); };
    entry.socket.send('?', port, address);
  });
}
for await (const line of console) {
  if (line === '') break;
  const command = JSON.parse(line);
  const result = command.do === 'serve' ? await serve(command) : command.transport === 'tcp' ? await askTcp(command) : await askUdp(command);
  console.log(JSON.stringify(result));
}
process.exit();
`;
