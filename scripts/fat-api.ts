// A Kubernetes API server full of fat Nodes, for benchmarks: `bun scripts/fat-api.ts --nodes N --port P [--gzip]`.
// Prints `listening http://127.0.0.1:P` when it is ready; ends at SIGTERM or SIGINT. Control endpoints: see startFatApi.
import { parseArgs } from 'node:util';
import { describe } from '#base/errors.ts';
import { startFatApi } from '#lab/api/fat-api.ts';

function count(text: string, flag: string): number {
  if (!/^\d{1,5}$/.test(text))
    throw new Error(`--${flag} takes a number up to 65535, not ${JSON.stringify(text)}`);
  return Number(text);
}

try {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '5000' },
      port: { type: 'string', default: '0' },
      gzip: { type: 'boolean', default: false },
    },
  });
  const server = await startFatApi({
    nodes: count(values.nodes, 'nodes'),
    port: count(values.port, 'port'),
    gzip: values.gzip,
  });
  const stop = () => void server.close();
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  console.log(`listening ${server.url}`);
} catch (error) {
  console.error(describe(error));
  process.exitCode = 1;
}
