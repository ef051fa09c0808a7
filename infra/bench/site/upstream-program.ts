import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:net';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { serviceBody, serviceHeaders } from './service-response.ts';

/*
 * The service behind every server under test. Answers each GET with the same small response, which has the headers
 * that Node's server sends. Reads no headers, because it shares a core with the load generator. Publishes a key for
 * agreement.
 */

const end = '\r\n\r\n';
const head = serviceHeaders.map((text, index) => text + (index % 2 === 0 ? ': ' : '\r\n')).join('');
const responseAt = (now: Date) =>
  Buffer.from(`HTTP/1.1 200 OK\r\n${head}Date: ${now.toUTCString()}\r\n\r\n${serviceBody}`);
const jwk = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }) as JWK;
const keySet = JSON.stringify({
  keys: [{ ...jwk, kid: await calculateJwkThumbprint(jwk), use: 'enc', alg: 'countersign-agreed-v1' }],
});
const keySetResponse = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${keySet.length}\r\n\r\n${keySet}`;
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
      socket.write(text.startsWith('GET /.well-known/jwks.json', from) ? keySetResponse : response);
      from = at + end.length;
    }
    rest = from === text.length ? '' : text.slice(from);
  });
  socket.on('error', () => socket.destroy());
});
server.listen(Number(process.argv[2]), '127.0.0.1');
