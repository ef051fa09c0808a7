import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:net';
import { calculateJwkThumbprint, type JWK } from 'jose';

/*
 * The service behind every server under test. Answers each GET with the same small response, which has the headers
 * that Node's server sends. Reads no headers, because it shares a core with the load generator. Publishes a key for
 * agreement.
 */

const end = '\r\n\r\n';
const answer = (body: string, more = '') =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`,
  );
const body = JSON.stringify({
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  status: 'open',
  title: 'The lift is broken',
});
const responseAt = (now: Date) =>
  answer(body, `Connection: keep-alive\r\nKeep-Alive: timeout=60\r\nDate: ${now.toUTCString()}\r\n`);
const jwk = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }) as JWK;
const kid = await calculateJwkThumbprint(jwk);
const keySet = answer(JSON.stringify({ keys: [{ ...jwk, kid, use: 'enc', alg: 'countersign-agreed-v1' }] }));
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
      socket.write(text.startsWith('GET /.well-known/jwks.json', from) ? keySet : response);
      from = at + end.length;
    }
    rest = from === text.length ? '' : text.slice(from);
  });
  socket.on('error', () => socket.destroy());
});
server.listen(Number(process.argv[2]), '127.0.0.1');
