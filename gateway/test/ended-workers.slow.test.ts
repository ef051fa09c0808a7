import { fileURLToPath } from 'node:url';
import { eventually, type StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type GatewayProcess, gatewayProcess } from './gateway-process.ts';

describe('a primary whose workers end', () => {
  let place: GatewayProcess;
  let primary: StartedProcess;
  beforeAll(async () => {
    place = await gatewayProcess({ program: fileURLToPath(new URL('watchful-primary.ts', import.meta.url)) });
    primary = await place.start();
    // Lines are written a little later than the primary is ready.
    await eventually(() => expect(started()).toHaveLength(2));
  });
  afterAll(async () => {
    // A process that is still suspended would outlive the primary.
    for (const { worker_pid: pid } of started()) resume(pid);
    await place.close();
  });

  const logged = () =>
    primary
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  const started = () => logged().filter(({ msg }) => msg === 'worker serves');
  /** The processes that serve now, by number of worker. */
  const pidOf = (number: number) => started().findLast(({ worker }) => worker === number).worker_pid;
  const send = async (count: number) => {
    for (let sent = 0; sent < count; sent += 1) {
      const { statusCode, body } = await request(`${place.url}/v1/open/1`, { headers: { connection: 'close' } });
      expect([statusCode, await body.text()]).toEqual([200, '{"ok":true}']);
    }
  };
  /** The request counters and histograms, by series. */
  const totals = async () => {
    const text = await (await fetch(`${place.adminUrl}/metrics`)).text();
    const pattern = /^(countersign_(?:request_duration_seconds|signatures_total|jwks_fetches_total)\S*) (\S+)$/gm;
    return new Map([...text.matchAll(pattern)].map(([, series = '', value]) => [series, Number(value)]));
  };
  const counted = async () =>
    (await totals()).get('countersign_request_duration_seconds_count{route="open",status="200"}');
  const resume = (pid: number) => {
    try {
      process.kill(pid, 'SIGCONT');
    } catch {
      // It has ended.
    }
  };
  const replaced = async (number: number, end: () => void) => {
    const ended = pidOf(number);
    end();
    await eventually(() => expect(pidOf(number)).not.toBe(ended), 60_000);
  };

  test('no total goes backwards when a worker is killed, and the new process adds to it', async () => {
    await send(20);
    await eventually(async () => expect(await counted()).toBe(20));
    const before = await totals();
    expect(before.size).toBeGreaterThan(15);
    const backwards = async () => {
      const now = await totals();
      return [...before].filter(([series, value]) => (now.get(series) ?? -1) < value).map(([series]) => series);
    };
    for (const number of [1, 2]) {
      const killed = pidOf(number);
      await replaced(number, () => process.kill(killed, 'SIGKILL'));
      expect([number, await backwards()]).toEqual([number, []]);
    }
    expect(await counted()).toBe(20);
    await send(10);
    await eventually(async () => expect(await counted()).toBe(30));
  });

  test('counts every request that a worker served before it was stopped', async () => {
    const worker = pidOf(1);
    await send(10);
    await replaced(1, () => process.kill(worker, 'SIGTERM'));
    await eventually(async () => expect(await counted()).toBe(40));
  });

  test('kills a worker that does not answer, and starts another', async () => {
    const hung = pidOf(2);
    const asked = performance.now();
    await replaced(2, () => process.kill(hung, 'SIGSTOP'));
    expect(performance.now() - asked).toBeGreaterThan(3_000);
    expect(logged()).toContainEqual(
      expect.objectContaining({ level: 50, worker: 2, worker_pid: hung, msg: 'killing a worker that does not answer' }),
    );
    expect(logged()).toContainEqual(
      expect.objectContaining({ worker: 2, worker_pid: hung, signal: 'SIGKILL', msg: 'worker ended' }),
    );
    expect(
      logged().filter(({ msg, worker }) => msg === 'killing a worker that does not answer' && worker === 1),
    ).toEqual([]);
    await send(10);
    await eventually(async () => expect(await counted()).toBe(50));
    expect((await fetch(`${place.adminUrl}/readyz`)).status).toBe(200);
  });

  test('shows the counts of a worker that does not answer now', async () => {
    const silent = pidOf(1);
    process.kill(silent, 'SIGSTOP');
    expect(await counted()).toBe(50);
    resume(silent);
    expect(await primary.stop()).toBe(0);
  });
});
