import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export type Spoiling = 'end' | 'reset' | 'response' | 'byte';

/** A service in its own thread, so that it can act while the upstream client's thread is blocked. */
export type OtherThread = Readonly<{
  origin: string;
  /** Spoils the first connection, and blocks this thread until the kernel has the bytes that were sent. */
  spoil(how: Spoiling): void;
  /** Returns how many connections were opened so far. */
  connections(): number;
  close(): Promise<number>;
}>;

const script = `
const { createServer } = require('node:net');
const { workerData, parentPort } = require('node:worker_threads');
const shared = new Int32Array(workerData);
let first;
const server = createServer({ allowHalfOpen: true }, (socket) => {
  first ??= socket;
  Atomics.add(shared, 1, 1);
  socket.on('error', () => {});
  socket.on('data', () => socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok'));
});
const done = () => { Atomics.store(shared, 0, 1); Atomics.notify(shared, 0); };
parentPort.on('message', (how) => {
  if (how === 'end') first.end(done);
  else if (how === 'reset') { first.once('close', () => setImmediate(done)); first.resetAndDestroy(); }
  else first.write(how === 'byte' ? 'x' : 'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nevil', done);
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

export async function serviceInOtherThread(): Promise<OtherThread> {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(script, { eval: true, workerData: shared.buffer });
  const [port] = await once(worker, 'message');
  return {
    origin: `http://127.0.0.1:${port}`,
    spoil(how) {
      worker.postMessage(how);
      if (Atomics.wait(shared, 0, 0, 5_000) === 'timed-out') throw new Error('the other thread did not answer');
    },
    connections: () => Atomics.load(shared, 1),
    close: () => worker.terminate(),
  };
}
