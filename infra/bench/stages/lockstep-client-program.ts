import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { questionOf } from '../decision/ask.ts';

/*
 * A client that acts only on messages: `{ port }` sends one request on each of its connections to that port. If the
 * message also has `asksAsNginx: true`, it sends nginx's question about that request. The server can hold all
 * requests, so that nothing arrives while it measures. Runs in a separate process, so that its CPU time does not
 * count.
 */

const [requestsFile = '', connections = '0'] = process.argv.slice(2);
const requests = readFileSync(requestsFile, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [path = '', token = ''] = line.split(' ');
    const credentials = `Authorization: Bearer ${token}\r\nHost: 127.0.0.1\r\n`;
    const question = Object.entries(questionOf(path)).map(([name, value]) => `${name}: ${value}\r\n`);
    return {
      request: Buffer.from(`GET ${path} HTTP/1.1\r\n${credentials}\r\n`),
      question: Buffer.from(`GET /decide HTTP/1.1\r\n${credentials}${question.join('')}\r\n`),
    };
  });
const socketsTo = new Map<number, Socket[]>();
let sent = 0;

function open(port: number): Socket[] {
  const sockets = Array.from({ length: Number(connections) }, () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    // Reads and discards the responses.
    return socket.resume();
  });
  socketsTo.set(port, sockets);
  return sockets;
}

process.on('message', ({ port, asksAsNginx }: { port: number; asksAsNginx: boolean }) => {
  const kind = asksAsNginx ? 'question' : 'request';
  for (const socket of socketsTo.get(port) ?? open(port)) {
    socket.write(requests[sent % requests.length]?.[kind] ?? '');
    sent += 1;
  }
});
process.on('disconnect', () => process.exit());
