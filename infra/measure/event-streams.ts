import { generateKeyPairSync } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { asUser, eventually, startProcess, testGateway } from '@countersign/testing';
import { makePlace } from '../stacks/stack.ts';
import { quantile } from './results/statistics.ts';

// `npm run bench:streams`: complainants of one tenant follow events, while agents change 20 complaints. Measures the
// requests, then kills the service and measures how soon all streams are back. Needs DATABASE_URL.

const { DATABASE_URL: databaseUrl, STREAMS = '0,400,800,2000', EVENTS_PER_SECOND = '20', SECONDS = '20' } = process.env;
const audience = 'complaint-service';
const person = (role: string, at = 0) => ({ tenantId: 'bench', role, userId: `${role}-${at}` });
const admin = person('admin');
const place = await makePlace({ databaseUrl, redisUrl: undefined });
const gateway = await testGateway();
const kid = 'bench';
const env = {
  ...place.env,
  GATEWAY_KEYS_URL: gateway.keysUrl,
  SERVICE_KEY: JSON.stringify({ ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid }),
  LOG_LEVEL: 'warn',
};
const start = () => startProcess({ args: ['complaint-service/src/main.ts'], env });

function send(who: typeof admin, method: string, path: string, json?: object, more = {}): Promise<IncomingMessage> {
  const body = json && JSON.stringify(json);
  const type = body === undefined ? {} : { contentType: 'application/json' };
  const signed = gateway.sign({ method, target: path, body, claims: asUser(who), audience, ...type });
  const headers = { ...signed, ...(body && { 'content-type': 'application/json' }), ...more };
  const sent = request({ port: place.ports.complaints, method, path, headers, agent: false }).end(body);
  return new Promise((resolve, reject) => sent.once('response', resolve).once('error', reject));
}

async function call(...given: Parameters<typeof send>): Promise<{ id: string }> {
  const response = await send(...given);
  const text = (await response.setEncoding('utf8').toArray()).join('');
  if ((response.statusCode ?? 0) >= 300) throw new Error(`${response.statusCode} ${text}`);
  return JSON.parse(text);
}

/** An event stream that reconnects like a browser, 2 s after it ends. */
function follow(who: typeof admin) {
  const stream = { isOpen: false, isWanted: true, received: 0, response: undefined as IncomingMessage | undefined };
  const run = async (lastId?: string): Promise<void> => {
    let last = lastId;
    try {
      const response = await send(who, 'GET', '/v1/complaints/events', undefined, last && { 'last-event-id': last });
      stream.response = response;
      for await (const part of response.setEncoding('utf8')) {
        stream.isOpen = response.statusCode === 200;
        const ids = Array.from(String(part).matchAll(/^id: (.*)$/gm), ([, id]) => id);
        stream.received += ids.length;
        last = ids.at(-1) ?? last;
      }
    } catch {}
    stream.isOpen = false;
    await delay(2_000, undefined, { ref: false });
    if (stream.isWanted) await run(last);
  };
  void run();
  return stream;
}

/** Calls at a constant rate. @returns The times of those that succeeded, and the number of the others. */
async function repeat(perSecond: number, work: (at: number) => Promise<unknown>) {
  const times: number[] = [];
  const calls = Array.from({ length: perSecond * Number(SECONDS) }, async (_, at) => {
    await delay((at * 1_000) / perSecond);
    const sentAtMs = performance.now();
    await work(at).then(
      () => times.push(performance.now() - sentAtMs),
      () => {},
    );
  });
  await Promise.all(calls);
  return `p50 ${quantile(times, 0.5).toFixed(0)} ms, p99 ${quantile(times, 0.99).toFixed(0)} ms, ${calls.length - times.length} failed`;
}

let service = start();
try {
  const read = () => call(admin, 'GET', '/v1/complaints?limit=20');
  await eventually(read, 30_000);
  await call(admin, 'POST', '/v1/categories', { name: 'light' });
  for (const count of STREAMS.split(',').map(Number)) {
    const people = Array.from({ length: Math.max(count, 20) }, (_, at) => person('complainant', at));
    const text = { title: 'Lamp', description: 'Dark', category: 'light' };
    const filed = await Promise.all(people.slice(0, 20).map((who) => call(who, 'POST', '/v1/complaints', text)));
    const streams = people.slice(0, count).map(follow);
    const open = async () => {
      await read();
      if (streams.some(({ isOpen }) => !isOpen)) throw new Error('a stream is closed');
    };
    await eventually(open, 120_000);
    const edit = (at: number) =>
      call(person('agent', at % 100), 'PATCH', `/v1/complaints/${filed[at % 20]?.id}`, { title: `Lamp ${at}` });
    const [reads, edits] = await Promise.all([repeat(10, read), repeat(Number(EVENTS_PER_SECOND), edit)]);
    await delay(1_000);
    const received = streams.reduce((sum, stream) => sum + stream.received, 0);
    process.stdout.write(`${count} streams: lists ${reads}; edits ${edits}; ${received} events received\n`);
    await service.stop('SIGKILL');
    const killedAtMs = performance.now();
    service = start();
    await eventually(open, 120_000);
    const backSec = (performance.now() - killedAtMs) / 1_000;
    process.stdout.write(`  all back ${backSec.toFixed(1)} s after a kill. Warnings since:\n${service.output()}`);
    for (const stream of streams) {
      stream.isWanted = false;
      stream.response?.destroy();
    }
  }
} finally {
  await service.stop();
  await gateway.close();
  await place.remove();
}
process.exit();
