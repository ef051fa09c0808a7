import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

/*
 * Opens many connections, sends one request on each, and keeps them open. Tells the parent how many are open whenever it is
 * asked.
 */

const [port, requestsFile = '', count] = process.argv.slice(2);
const lines = readFileSync(requestsFile, 'utf8').trimEnd().split('\n');
const openedAtOnce = 100;
let opened = 0;
let answered = 0;
let isOpen = 0;

function openNext(): void {
  if (opened >= Number(count)) return;
  const [path, token] = (lines[opened % lines.length] ?? '').split(' ');
  opened += 1;
  const socket = connect({ port: Number(port), host: '127.0.0.1' });
  socket.on('connect', () => {
    isOpen += 1;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  });
  socket.once('data', (chunk) => {
    if (!chunk.toString('latin1').startsWith('HTTP/1.1 200 ')) throw new Error(`unexpected response: ${chunk}`);
    answered += 1;
    if (answered === Number(count)) process.send?.({ answered });
    openNext();
  });
  socket.on('close', () => {
    isOpen -= 1;
  });
}

for (let index = 0; index < openedAtOnce; index += 1) openNext();
process.on('message', () => process.send?.({ isOpen }));
process.on('disconnect', () => process.exit());
