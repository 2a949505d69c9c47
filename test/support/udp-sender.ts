/**
 * Sends numbered UDP packets: `bun test/support/udp-sender.ts <from> <to> <port> <per second>`. On SIGTERM it prints how many it
 * has tried to send and ends; one that the kernel refuses counts as tried.
 */
const [from = '', to = '', port = '', rate = ''] = process.argv.slice(2);
const socket = await Bun.udpSocket({ hostname: from, port: 0 });
let sent = 0;
const start = performance.now();
const timer = setInterval(() => {
  // What a late timer has missed is made up for.
  const due = Math.floor(((performance.now() - start) * Number(rate)) / 1000);
  for (; sent < due; sent++) {
    try {
      socket.send(String(sent).padEnd(100), Number(port), to);
    } catch {
      // Without a route: lost, as the receiver's count will show.
    }
  }
}, 1);
process.on('SIGTERM', () => {
  clearInterval(timer);
  console.log(sent);
  socket.close();
});

export {};
