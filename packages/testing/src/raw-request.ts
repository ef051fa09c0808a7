import { connect } from 'node:net';

/**
 * Writes exactly these bytes to a loopback port, and returns everything that the peer sent until it closed. Ends its
 * own side immediately. Send `Connection: close` so that the server closes.
 *
 * @throws Error after `timeoutMs` without an end.
 */
export function rawRequest(port: number, bytes: string | Buffer, timeoutMs = 10_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end after ${timeoutMs} ms; so far: ${Buffer.concat(chunks).toString('latin1')}`));
    }, timeoutMs);
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks).toString('latin1'));
    };
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', done);
    // A reset after a response counts as the end, because servers that refuse a request do not wait for the rest of it.
    socket.once('error', (error) => {
      if (chunks.length > 0) return done();
      clearTimeout(timer);
      reject(error);
    });
  });
}
