import { appendFileSync, writeFileSync } from 'node:fs';
import { type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { afterEach, describe, expect, test } from '@jest/globals';
import { loadConfig } from '../src/config/load.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const route = (_: unknown, index: number) =>
  `  - { name: r${index}, path: "/v1/s${index % 100}/r${index}/:id", methods: [GET, POST], upstream: things, auth: public, limits: [{ requests: 10, per: 1m, by: address }] }\n`;

const routes = (length: number) => Array.from({ length }, route).join('');

/** The CPU milliseconds of this thread. Unlike wall-clock time, they do not grow on a busy machine. */
const workedMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

/**
 * The longest time in milliseconds that this thread worked without serving requests. Garbage collections do not count:
 * they depend on the heap of the test runner, which holds every suite before this one.
 */
function watchTurns(): () => number {
  const entries: PerformanceEntry[] = [];
  const collections = new PerformanceObserver((list) => entries.push(...list.getEntries()));
  collections.observe({ entryTypes: ['gc'] });
  const turns: { from: number; to: number; worked: number }[] = [];
  let before = { at: performance.now(), worked: workedMs() };
  let turn: NodeJS.Immediate;
  const look = () => {
    const now = { at: performance.now(), worked: workedMs() };
    turns.push({ from: before.at, to: now.at, worked: now.worked - before.worked });
    before = now;
    turn = setImmediate(look);
  };
  turn = setImmediate(look);
  return () => {
    clearImmediate(turn);
    entries.push(...collections.takeRecords());
    collections.disconnect();
    const collectedIn = (from: number, to: number) =>
      entries
        .filter(({ startTime }) => startTime >= from && startTime < to)
        .reduce((sum, { duration }) => sum + duration, 0);
    const longest = turns.toSorted((a, b) => b.worked - a.worked).slice(0, 20);
    return Math.max(...longest.map(({ from, to, worked }) => worked - collectedIn(from, to)));
  };
}

describe('many routes', () => {
  let gateway: GatewayUnderTest;
  afterEach(() => gateway.close());

  const status = async (path: string) => (await gateway.ask(path)).status;

  // The schema allows 10,000, and the gateway under test already has some. The limit is 50 ms for 1,000 routes, where
  // reading them takes 150 ms on a quiet machine: a third. Both take several times as long on a busy machine, so the
  // two are compared.
  test.each([1_000, 9_900])(
    '%d load in seconds, keep their counts over a reload, and stop requests for less than a third of the reading',
    async (count) => {
      gateway = await gatewayUnderTest({ isReadAside: true });
      const write = (rest: string) => {
        writeFileSync(gateway.file, gateway.yaml);
        appendFileSync(gateway.file, routes(count) + rest);
      };
      write('');
      expect((await gateway.running.reload()).refused).toBeUndefined();
      expect(await status(`/v1/s99/r${count - 1}/1`)).toBe(200);
      for (let call = 0; call < 10; call += 1) expect(await status('/v1/s1/r1/1')).toBe(200);

      for (const name of ['x-a', 'x-b']) {
        write(`headers: { strip: [${name}] }\n`);
        const stop = watchTurns();
        let isReloaded = false;
        const reloading = gateway.running.reload().finally(() => {
          isReloaded = true;
        });
        while (!isReloaded) expect(await status('/v1/open/1')).toBe(200);
        const longestMs = stop();
        expect((await reloading).refused).toBeUndefined();
        const readingFrom = workedMs();
        loadConfig(gateway.file, { HASHED_SECRET: 'any secret of 32 bytes or more, for the reading' });
        expect(longestMs).toBeLessThan((workedMs() - readingFrom) / 3);
        expect(await status('/v1/s1/r1/1')).toBe(429);
      }
    },
    240_000,
  );

  test('ten thousand do not prevent a start', async () => {
    const before = workedMs();
    gateway = await gatewayUnderTest({ edits: [['\nroutes:\n', `\nroutes:\n${routes(9_900)}`]] });
    expect(workedMs() - before).toBeLessThan(10_000);
    expect(await status('/v1/s0/r0/1')).toBe(200);
  }, 120_000);
});
