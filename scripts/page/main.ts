// `node scripts/bun.mjs scripts/page/main.ts [--peers 50] [--pods 12] [--hostile] [--lab 3] [--port 8474]`: the page with made up
// documents, bundled anew whenever it is opened.
import { parseArgs } from 'node:util';
import { serveFake } from './serve.ts';

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '50' },
    pods: { type: 'string', default: '12' },
    hostile: { type: 'boolean', default: false },
    differences: { type: 'boolean', default: false },
    lab: { type: 'string' },
    port: { type: 'string', default: '8474' },
  },
});
const server = serveFake({
  peers: Number(values.peers),
  pods: Number(values.pods),
  hostile: values.hostile,
  differences: values.differences,
  port: Number(values.port),
  ...(values.lab === undefined ? {} : { lab: Number(values.lab) }),
});
console.log(`http://127.0.0.1:${server.port}/`);
