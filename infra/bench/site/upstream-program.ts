import { createServer } from 'node:net';

/*
 * The service behind every server under test. Answers each GET with the same small response, which has the headers that
 * Node's server sends. It reads no headers, so that it takes little from the core that it shares with the load.
 */

const body = JSON.stringify({
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  status: 'open',
  title: 'The lift is broken',
});
const end = '\r\n\r\n';
const responseAt = (now: Date) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nDate: ${now.toUTCString()}\r\n` +
      `Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n${body}`,
  );
let response = responseAt(new Date());
setInterval(() => {
  response = responseAt(new Date());
}, 1_000).unref();

const server = createServer({ noDelay: true }, (socket) => {
  let rest = '';
  socket.on('data', (chunk) => {
    const text = rest + chunk.toString('latin1');
    let from = 0;
    for (let at = text.indexOf(end); at !== -1; at = text.indexOf(end, from)) {
      from = at + end.length;
      socket.write(response);
    }
    rest = from === text.length ? '' : text.slice(from);
  });
  socket.on('error', () => socket.destroy());
});
server.listen(Number(process.argv[2]), '127.0.0.1');
