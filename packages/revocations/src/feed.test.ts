import { capturingLogger, testClock } from '@countersign/testing';
import { describe, expect, test } from '@jest/globals';
import { type FeedRequest, followRevocations, readRevocationBatch } from './feed.ts';
import { Revocations } from './revocations.ts';

const item = (sid: string) => ({
  kind: 'session',
  sid,
  not_before: '2026-01-01T00:00:01.000Z',
  expires_at: '2026-01-01T00:15:01.000Z',
});
const batch = (cursor: number, items: unknown[] = [], complete = true, log = 'L1') => ({
  log,
  cursor,
  complete,
  items,
});

/** Follows a feed that gives these responses, and stops after the last one. */
async function follow(answers: readonly (object | Error)[], maxStalenessMs = 30_000, maxHeld?: number) {
  const clock = testClock();
  const log = capturingLogger();
  const revocations = new Revocations({
    toleranceMs: 5_000,
    maxStalenessMs,
    onStale: 'allow',
    ...(maxHeld !== undefined && { maxHeld }),
  });
  const requests: FeedRequest[] = [];
  const pauses: number[] = [];
  const left = [...answers];
  await new Promise<void>((end) => {
    const feed = followRevocations({
      issuer: 'http://issuer.test',
      revocations,
      maxStalenessMs,
      logger: log.logger,
      nowMs: clock.nowMs,
      random: () => 1,
      pause: async (ms) => void pauses.push(ms),
      fetchBatch: async (request) => {
        requests.push(request);
        const answer = left.shift();
        if (answer === undefined) {
          feed.stop();
          end();
          return readRevocationBatch(batch(0));
        }
        if (answer instanceof Error) throw answer;
        return readRevocationBatch(answer);
      },
    });
    feed.start();
  });
  const has = (sid: string) => {
    const claims = { sessionId: sid, userId: 'u', clientId: 'c', tenantId: 't', issuedAtSec: clock.nowMs() / 1000 };
    return revocations.refusalOf(claims, 'k', clock.nowMs())?.code === 'token_revoked';
  };
  return { revocations, requests, pauses, has, log };
}

describe('followRevocations', () => {
  test('reads a snapshot batch by batch, and is ready after the last batch', async () => {
    const { requests, has } = await follow([batch(1, [item('s1')], false), batch(2, [item('s2')])]);
    expect(requests).toEqual([
      { position: undefined, waitSec: 0 },
      { position: { log: 'L1', cursor: 1 }, waitSec: 0 },
      { position: { log: 'L1', cursor: 2 }, waitSec: 25 },
    ]);
    expect([has('s1'), has('s2'), has('s3')]).toEqual([true, true, false]);
  });

  test('is not ready after half a snapshot', async () => {
    const { revocations } = await follow([batch(1, [item('s1')], false)]);
    expect(revocations.ready).toBe(false);
  });

  test('reads a snapshot with any number of batches', async () => {
    const batches = Array.from({ length: 1_000 }, (_, n) => batch(n + 1, [item(`s${n}`)], n === 999));
    const { revocations, has, log } = await follow(batches);
    expect([revocations.ready, has('s0'), has('s999'), has('s1000')]).toEqual([true, true, true, false]);
    expect(log.lines()).toContainEqual(expect.objectContaining({ msg: 'revocations read', entries: 1_000 }));
  });

  test('continues a snapshot after a failure, and starts over if the log changes', async () => {
    const { requests, has } = await follow([
      batch(1, [item('s1')], false),
      new Error('gone'),
      batch(2, [item('s2')], false),
      batch(3, [], false, 'L2'),
      batch(4, [item('s3')], true, 'L2'),
    ]);
    expect(requests.map(({ position }) => position?.cursor)).toEqual([undefined, 1, 1, 2, undefined, 4]);
    expect(['s1', 's2', 's3', 's4'].map(has)).toEqual([true, true, true, false]);
  });

  test('never becomes ready if the log is endless, and pauses between batches without items', async () => {
    const batches = Array.from({ length: 300 }, (_, n) => batch(n + 1, [], false));
    const { revocations, pauses } = await follow(batches);
    expect(revocations.ready).toBe(false);
    expect(pauses.slice(0, 300)).toEqual(batches.map(() => 200));
  });

  test('logs an alarm if memory cannot hold all revocations', async () => {
    const items = Array.from({ length: 20 }, (_, n) => item(`s${n}`));
    const { log } = await follow([batch(1, items), batch(2, [item('s20')])], 30_000, 10);
    const alarms = log.lines().filter(({ alarm }) => alarm === 'too_many_revocations');
    expect(alarms).toMatchObject([{ level: 50, refused_before: '2026-01-01T00:00:01.000Z' }]);
  });

  test('continues from the cursor, and keeps known revocations', async () => {
    const { requests, has } = await follow([batch(1, [item('s1')]), batch(2, [item('s2')]), batch(2)]);
    expect(requests.map(({ position }) => position?.cursor)).toEqual([undefined, 1, 2, 2]);
    expect([has('s1'), has('s2')]).toEqual([true, true]);
  });

  test('reads a different log from the start, applies it as a whole, and keeps known revocations', async () => {
    const { requests, has } = await follow([
      batch(5, [item('s1')]),
      batch(9, [item('s8')], true, 'L2'),
      batch(1, [item('s2')], false, 'L2'),
      batch(2, [item('s3')], true, 'L2'),
    ]);
    expect(requests[2]).toEqual({ position: undefined, waitSec: 0 });
    expect([has('s1'), has('s2'), has('s3')]).toEqual([true, true, true]);
  });

  test('applies nothing from a different log before the last batch', async () => {
    const { has } = await follow([
      batch(5, [item('s1')]),
      batch(0, [], true, 'L2'),
      batch(1, [item('s2')], false, 'L2'),
    ]);
    expect([has('s1'), has('s2')]).toEqual([true, false]);
  });

  test('keeps known revocations if the log is empty', async () => {
    const { has, requests } = await follow([
      batch(5, [item('s1')]),
      batch(0, [], true, 'L2'),
      batch(0, [], true, 'L2'),
    ]);
    expect(requests.map(({ position }) => position?.log)).toEqual([undefined, 'L1', undefined, 'L2']);
    expect(has('s1')).toBe(true);
  });

  test('starts over if the log ends before the cursor', async () => {
    const { requests, has } = await follow([batch(5, [item('s1')]), batch(3), batch(3, [item('s2')])]);
    expect(requests[2]?.position).toBeUndefined();
    expect([has('s1'), has('s2')]).toEqual([true, true]);
  });

  test('repeats the same request after failures, with backoff', async () => {
    const gone = new Error('gone');
    const { requests, pauses } = await follow([batch(1), gone, gone, gone, gone, gone, gone, batch(1)]);
    expect(pauses.slice(0, 6)).toEqual([100, 200, 400, 500, 500, 500]);
    expect(requests[7]).toEqual({ position: { log: 'L1', cursor: 1 }, waitSec: 0 });
    expect(requests[8]).toEqual({ position: { log: 'L1', cursor: 1 }, waitSec: 25 });
  });

  test.each([
    ['an object that is not a batch', { hello: 1 }],
    ['a cursor that is not a number', { ...batch(0), cursor: 'x' }],
    [
      'too many items for one batch',
      batch(
        9_000,
        Array.from({ length: 5_001 }, () => item('s')),
      ),
    ],
    ['null', null as unknown as object],
  ])('refuses %s', async (_name, answer) => {
    const { revocations } = await follow([answer]);
    expect(revocations.ready).toBe(false);
  });

  test('applies known items in a batch, and logs unknown ones', async () => {
    const { has, log } = await follow([
      batch(3, [item('s1'), { kind: 'planet', id: 'x' }, { kind: 'user' }, item('s2')]),
    ]);
    expect([has('s1'), has('s2')]).toEqual([true, true]);
    expect(log.lines()).toContainEqual(expect.objectContaining({ level: 50, items: 2 }));
  });

  test.each([
    [3_600_000, 25],
    [30_000, 25],
    [2_000, 1],
    [1_000, 0],
  ])('with a maximum staleness of %d ms, lets the feed wait for at most %d s', async (oldMs, waitSec) => {
    const { requests } = await follow([batch(1), batch(1)], oldMs);
    expect(requests[1]?.waitSec).toBe(waitSec);
  });

  test('pauses between requests if the feed does not wait', async () => {
    const { pauses } = await follow([batch(1), batch(1), batch(1)]);
    expect(pauses).toEqual([200, 200]);
  });

  test('pauses between requests if the log changes each time, as with two databases', async () => {
    const logOf = (name: string) => batch(1, [], true, name);
    const { pauses } = await follow([logOf('L1'), logOf('L2'), logOf('L1'), logOf('L2'), logOf('L1')]);
    expect(pauses).toEqual([200, 200]);
  });
});
