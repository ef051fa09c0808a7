import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Answers } from '@countersign/console';
import { eventually, freePorts } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type GatewayProcess, gatewayProcess } from './gateway-process.ts';

let place: GatewayProcess;
let port: number;
beforeAll(async () => {
  [port] = (await freePorts(1)) as [number];
  place = await gatewayProcess();
  place.write(place.yaml.replace(/ {2}things: .*/, `  things: { targets: ["http://127.0.0.1:${port}"] }`));
  await place.start('--workers', '2');
});
afterAll(() => place.close());

/** Over a new connection, which the next worker gets. */
const ask = async () => {
  const { statusCode, body } = await request(`${place.url}/v1/open/1`, { headers: { connection: 'close' } });
  await body.dump();
  return statusCode;
};

let reads = 0;
async function shown() {
  reads += 1;
  const read = async (path: string) => (await fetch(place.adminUrl + path)).text();
  // A rendered page is reused for a second by its URL.
  const overview = await read(`/?${'&'.repeat(reads)}`);
  const { upstreams } = JSON.parse(await read('/api/upstreams')) as Answers['/api/upstreams'];
  const [, gauge] =
    /^countersign_upstream_target_healthy\{upstream="things".*\} (.*)$/m.exec(await read('/metrics')) ?? [];
  const { state, why } = upstreams.find(({ name }) => name === 'things')?.state ?? {};
  return { state, why, gauge, calm: overview.includes('All is well') };
}

async function serveOnce<Result>(work: () => Promise<Result>): Promise<Result> {
  const server = createServer((_request, response) => response.end('ok')).listen(port, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work();
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test('an upstream is failing from the last failed request of any worker to the next good one of any worker', async () => {
  // Four requests reach both workers.
  expect(await serveOnce(async () => [await ask(), await ask(), await ask(), await ask()])).toEqual([
    200, 200, 200, 200,
  ]);
  await eventually(async () => expect(await shown()).toMatchObject({ state: 'not checked', gauge: '1', calm: true }));
  expect(await ask()).toBe(502);
  const failing = { state: 'failing', gauge: '0', calm: false };
  expect(await shown()).toMatchObject({
    ...failing,
    why: expect.stringMatching(/^upstream_unreachable; 1 of 1 failed; last success 2/),
  });
  expect(await ask()).toBe(502);
  expect(await shown()).toMatchObject({ ...failing, why: expect.stringMatching(/; 2 of 2 failed; /) });
  // One worker serves this. The other knows only its own failure.
  expect(await serveOnce(ask)).toBe(200);
  expect(await shown()).toMatchObject({ state: 'not checked', why: null, gauge: '1', calm: true });
  expect(await ask()).toBe(502);
  expect(await shown()).toMatchObject({ ...failing, why: expect.stringMatching(/; 1 of 1 failed; /) });
});
