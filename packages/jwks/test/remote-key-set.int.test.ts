import type { RequestListener } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type KeySet,
  type KeySetEvent,
  KeySetUnavailable,
  type RemoteKeySetOptions,
  remoteKeySet,
} from '../src/index.ts';
import { FakeTimers } from './fake-timers.ts';
import { json, type KeyServer, startKeyServer, status, text } from './key-server.ts';
import { es256, type PublicJwk, rsa } from './make-keys.ts';

const first = es256('first');
const second = es256('second');
// Made once, because compressing takes longer than the fetch timeout.
const gzipBomb = gzipSync(Buffer.alloc(50 * 1024 * 1024));

let server: KeyServer;
let timers: FakeTimers;
let set: KeySet;
let events: KeySetEvent[];
let waiters: (() => void)[];

beforeEach(async () => {
  server = await startKeyServer(json({ keys: [first] }));
  timers = new FakeTimers();
  events = [];
  waiters = [];
});

afterEach(async () => {
  set.stop();
  await server.close();
});

function open(options: Partial<RemoteKeySetOptions> = {}): KeySet {
  set = remoteKeySet({
    url: server.url,
    algorithms: ['ES256'],
    maxStaleMs: 86_400_000,
    nowMs: timers.now,
    timers,
    random: () => 1,
    onEvent: (event) => {
      events.push(event);
      for (const wake of waiters.splice(0)) wake();
    },
    ...options,
  });
  return set;
}

/** Resolves once `count` fetches have succeeded or failed. */
async function ended(count: number): Promise<KeySetEvent> {
  for (;;) {
    const endings = events.filter(({ type }) => type !== 'key_ignored');
    const last = endings[count - 1];
    if (last !== undefined) return last;
    await new Promise<void>((resolve) => waiters.push(resolve));
  }
}

async function openWith(keys: PublicJwk[], options: Partial<RemoteKeySetOptions> = {}): Promise<KeySet> {
  server.answer = json({ keys });
  open(options).start();
  await ended(1);
  return set;
}

const hang: RequestListener = () => {};

/** Returns a lookup's outcome: `found`, `none`, or the error's name. */
const outcomeOf = (kid: string): Promise<string> =>
  set.lookup(kid, 'ES256').then(
    (key) => (key === undefined ? 'none' : 'found'),
    (error: Error) => error.name,
  );
const garbage: readonly (readonly [string, RequestListener, string])[] = [
  ['500', status(500), 'status'],
  ['404', status(404), 'status'],
  ['206', status(206), 'status'],
  ['an unexpected 304', status(304), 'status'],
  ['a redirect', status(302, { location: 'http://169.254.169.254/' }), 'redirect'],
  ['a permanent redirect to itself', status(308, { location: '/jwks.json' }), 'redirect'],
  ['an empty set', json({ keys: [] }), 'empty'],
  ['a set with only unusable keys', json({ keys: [rsa('weak', 1024)] }), 'empty'],
  ['HTML', text('<!doctype html><title>Login</title>'), 'malformed'],
  ['truncated JSON', text(JSON.stringify({ keys: [second] }).slice(0, -5)), 'malformed'],
  ['null', text('null'), 'malformed'],
  ['an array', json([second]), 'malformed'],
  ['keys that are not an array', json({ keys: { 0: second } }), 'malformed'],
  ['no keys', json({}), 'malformed'],
  ['an empty body', text(''), 'malformed'],
  ['invalid UTF-8', (_req, res) => void res.end(Buffer.from([0x22, 0xff, 0x22])), 'malformed'],
  ['a thousand keys', json({ keys: Array.from({ length: 1000 }, (_, n) => ({ kid: `${n}` })) }), 'malformed'],
  ['a set padded beyond 256 KiB', json({ keys: [second], padding: ' '.repeat(256 * 1024) }), 'oversized'],
  ['a gzip bomb', (_req, res) => void res.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipBomb), 'oversized'],
  ['bad gzip', (_req, res) => void res.writeHead(200, { 'content-encoding': 'gzip' }).end('{"keys":[]}'), 'network'],
  ['a closed connection', (req) => void req.socket.destroy(), 'network'],
  [
    'a truncated body',
    (_req, res) => void res.writeHead(200, { 'content-length': '900' }).write('{', () => res.destroy()),
    'network',
  ],
];

describe('a set that has been fetched', () => {
  test.each(garbage)('is kept when the endpoint answers %s', async (_name, answer, reason) => {
    await openWith([first], { maxStaleMs: 3_600_000 });
    server.answer = answer;
    timers.advance(600_000);
    expect(await ended(2)).toMatchObject({ type: 'failed', reason });
    expect(set.find('first', 'ES256')).toBeDefined();
    expect(set.find('second', 'ES256')).toBeUndefined();
    expect(set).toMatchObject({ ready: true, generation: 1 });
    expect(server.requests).toHaveLength(2);
  });

  test.each([
    ['never answers', hang],
    ['never finishes', (_req, res) => void res.writeHead(200).write('{"keys":[')],
  ] as [string, RequestListener][])('is kept when the endpoint %s', async (_name, answer) => {
    await openWith([first], { timeoutMs: 400 });
    server.answer = answer;
    timers.advance(600_000);
    expect(await ended(2)).toMatchObject({ type: 'failed', reason: 'timeout' });
    expect(set.find('first', 'ES256')).toBeDefined();
  });

  test('is kept when the endpoint sends one byte at a time for longer than the timeout', async () => {
    await openWith([first], { timeoutMs: 400 });
    server.answer = (_req, res) => {
      const drip = setInterval(() => res.write(' '), 10);
      res.once('close', () => clearInterval(drip));
    };
    timers.advance(600_000);
    expect(await ended(2)).toMatchObject({ type: 'failed', reason: 'timeout' });
  });

  test('stays usable for maxStaleMs after it was last confirmed, and recovers within seconds', async () => {
    await openWith([first], { maxStaleMs: 3_600_000 });
    server.answer = status(500);
    timers.advance(3_600_000);
    await ended(2);
    expect(set.find('first', 'ES256')).toBeDefined();
    timers.advance(1_000);
    expect(set).toMatchObject({ ready: false, stats: { keys: 0 } });
    expect(set.find('first', 'ES256')).toBeUndefined();
    await expect(set.lookup('first', 'ES256')).rejects.toThrow(KeySetUnavailable);
    // Without a usable set, retries stay as frequent as at the start.
    for (let count = 3; count < 12; count += 1) {
      const failed = await ended(count);
      if (failed.type !== 'failed') throw new Error('it worked?');
      expect(failed.nextInMs).toBeLessThanOrEqual(5_000);
      timers.advance(failed.nextInMs);
    }
    await ended(12);
    server.answer = json({ keys: [first] });
    timers.advance(5_000);
    await ended(13);
    expect(set.find('first', 'ES256')).toBeDefined();
  });
});

describe('before the first success', () => {
  test('retries after 250 ms, doubling to 5 s, while lookups throw KeySetUnavailable', async () => {
    server.answer = status(503);
    open().start();
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 7; attempt += 1) {
      const event = await ended(attempt);
      if (event.type !== 'failed') throw new Error('it worked?');
      delays.push(event.nextInMs);
      timers.advance(event.nextInMs);
    }
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000]);
    await ended(8);
    await expect(set.lookup('first', 'ES256')).rejects.toThrow(KeySetUnavailable);
    expect(set).toMatchObject({ ready: false, generation: 0, stats: { ageMs: undefined, keys: 0, failures: 8 } });
  });

  test('many lookups cause no extra fetches during backoff', async () => {
    server.answer = status(503);
    open().start();
    await ended(1);
    const answers = await Promise.allSettled(Array.from({ length: 50 }, (_, n) => set.lookup(`k${n}`, 'ES256')));
    expect(answers.every(({ status: outcome }) => outcome === 'rejected')).toBe(true);
    expect(server.requests).toHaveLength(1);
  });

  test('a lookup waits for the running fetch', async () => {
    open().start();
    expect(await set.lookup('first', 'ES256')).toBeDefined();
    expect(server.requests).toHaveLength(1);
  });

  test('a lookup does not wait for a fetch that follows a failed one', async () => {
    server.answer = status(503);
    open({ timeoutMs: 1_000 }).start();
    await ended(1);
    server.answer = hang;
    timers.advance(250);
    await expect(set.lookup('first', 'ES256')).rejects.toThrow(KeySetUnavailable);
    // The second fetch is still running.
    expect(set.stats).toMatchObject({ fetches: 2, failures: 1 });
  });

  test('a set that was not started fetches on the first lookup', async () => {
    expect(await open().lookup('first', 'ES256')).toBeDefined();
    expect(timers.delays).toEqual([]);
  });
});

describe('a key that did not verify', () => {
  const replaced = es256('first');
  const again = async () => set.lookup('first', 'ES256', set.find('first', 'ES256'));

  test('is looked up again, so that a new key with the same kid is noticed, and ends the cool-down', async () => {
    await openWith([first]);
    const old = set.find('first', 'ES256');
    server.answer = json({ keys: [replaced] });
    const asked = await Promise.all(Array.from({ length: 50 }, async () => set.lookup('first', 'ES256', old)));
    expect(asked.every((key) => key !== undefined && old?.equals(key) === false)).toBe(true);
    expect(server.requests).toHaveLength(2);
    expect(set.generation).toBe(2);
    server.answer = json({ keys: [first] });
    expect((await again())?.equals(old as typeof old & object)).toBe(true);
    expect(server.requests).toHaveLength(3);
  });

  test.each([
    ['healthy', json({ keys: [first] }), 'none'],
    ['failing', status(500), 'KeySetUnavailable'],
  ] as [string, RequestListener, string][])(
    'costs one fetch per cool-down, together with unknown kids, on a %s endpoint',
    async (_name, answer, outcome) => {
      await openWith([first]);
      server.answer = answer;
      const flood = () =>
        Promise.all(
          Array.from({ length: 50 }, (_, n) =>
            (n % 2 === 0 ? again() : set.lookup(`made-up-${n}`, 'ES256')).then(
              (key) => (key === undefined ? 'none' : 'found'),
              (error: Error) => error.name,
            ),
          ),
        );
      expect(new Set(await flood())).toEqual(new Set([outcome]));
      await flood();
      expect(server.requests).toHaveLength(2);
      timers.nowMs += 29_999;
      await flood();
      expect(server.requests).toHaveLength(2);
      timers.nowMs += 1;
      await flood();
      expect(server.requests).toHaveLength(3);
    },
  );
});

describe('an unknown kid', () => {
  test('is looked up again as soon as fetches succeed again, within the cool-down of the one that failed', async () => {
    await openWith([first]);
    server.answer = status(500);
    expect(await outcomeOf('second')).toBe('KeySetUnavailable');
    server.answer = json({ keys: [first] });
    timers.advance(1_000);
    await ended(3);
    server.answer = json({ keys: [first, second] });
    expect(await outcomeOf('second')).toBe('found');
    // Made-up ones still cost one fetch per cool-down.
    expect([await outcomeOf('made-up'), await outcomeOf('made-up-too')]).toEqual(['none', 'none']);
    expect(server.requests).toHaveLength(5);
  });

  test('triggers a fetch immediately, so that a rotation is noticed', async () => {
    await openWith([first]);
    server.answer = json({ keys: [first, second] });
    expect(await set.lookup('second', 'ES256')).toBeDefined();
    expect(set.generation).toBe(2);
  });

  test.each([
    ['healthy', json({ keys: [first] }), 'none'],
    ['failing', status(500), 'KeySetUnavailable'],
  ] as [string, RequestListener, string][])(
    'costs one fetch per cool-down for any number of lookups, on a %s endpoint',
    async (_name, answer, outcome) => {
      await openWith([first]);
      server.answer = answer;
      const flood = () => Promise.all(Array.from({ length: 50 }, (_, n) => outcomeOf(`made-up-${n}`)));
      expect(new Set(await flood())).toEqual(new Set([outcome]));
      await flood();
      expect(server.requests).toHaveLength(2);
      expect(set.find('first', 'ES256')).toBeDefined();
      timers.nowMs += 29_999;
      await flood();
      expect(server.requests).toHaveLength(2);
      timers.nowMs += 1;
      await flood();
      expect(server.requests).toHaveLength(3);
    },
  );

  test.each([
    ['triggers one more fetch after a running fetch that does not contain it', json({ keys: [first] }), 3],
    ['triggers no other fetch after a running fetch that fails', status(500), 2],
  ] as [string, RequestListener, number][])('%s', async (_name, answer, fetches) => {
    await openWith([first]);
    const held: (() => void)[] = [];
    server.answer = (req, res) => void held.push(() => answer(req, res));
    timers.advance(600_000);
    const asked = Array.from({ length: 50 }, () => outcomeOf('second'));
    while (held.length === 0) await nextTurn();
    server.answer = json({ keys: [first, second] });
    for (const release of held) release();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([fetches === 3 ? 'found' : 'KeySetUnavailable']));
    expect(server.requests).toHaveLength(fetches);
  });

  test('throws KeySetUnavailable if the last fetch failed, and is unknown again after the next success', async () => {
    await openWith([first]);
    server.answer = status(500);
    timers.advance(600_000);
    await ended(2);
    expect(await outcomeOf('made-up')).toBe('KeySetUnavailable');
    expect(await outcomeOf('first')).toBe('found');
    server.answer = json({ keys: [first] });
    timers.advance(2_000);
    await ended(4);
    expect(await outcomeOf('made-up')).toBe('none');
  });

  test('does not wait for a fetch that follows a failed one', async () => {
    await openWith([first], { timeoutMs: 1_000 });
    server.answer = status(500);
    timers.advance(600_000);
    await ended(2);
    server.answer = hang;
    timers.advance(1_000);
    expect(await outcomeOf('made-up')).toBe('KeySetUnavailable');
    expect(set.stats).toMatchObject({ fetches: 3, failures: 1 });
  });

  test('that is found ends the cool-down, so that an issuer can rotate often, while made-up kids still cost one fetch', async () => {
    await openWith([first]);
    const keys = [first];
    for (const kid of ['a', 'b', 'c']) {
      keys.push(es256(kid));
      server.answer = json({ keys });
      const asked = await Promise.all(Array.from({ length: 50 }, () => set.lookup(kid, 'ES256')));
      expect(asked.every((key) => key !== undefined)).toBe(true);
    }
    expect(server.requests).toHaveLength(4);
    for (let n = 0; n < 20; n += 1) await set.lookup(`made-up-${n}`, 'ES256');
    expect(server.requests).toHaveLength(5);
  });

  test('is fetched without the ETag, because a server may keep the same ETag for a new set', async () => {
    const sameTag = (keys: PublicJwk[]): RequestListener => {
      const whole = json({ keys }, { etag: '"v1"' });
      return (req, res) => (req.headers['if-none-match'] === '"v1"' ? status(304) : whole)(req, res);
    };
    server.answer = sameTag([first]);
    open().start();
    await ended(1);
    server.answer = sameTag([first, second]);
    timers.advance(540_000);
    await ended(2);
    expect(set.find('second', 'ES256')).toBeUndefined();
    expect(await set.lookup('second', 'ES256')).toBeDefined();
    expect(server.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"v1"', undefined]);
    // An intermediate cache must not answer with a fresh copy either (RFC 9111 section 5.2.1.4).
    expect(server.requests.at(-1)?.headers['cache-control']).toBe('no-cache');
  });

  test("is not found under another key's algorithm", async () => {
    await openWith([first], { algorithms: ['ES256', 'EdDSA', 'RS256'] });
    expect(await set.lookup('first', 'RS256')).toBeUndefined();
  });

  test('waits at most for the timeout while the endpoint hangs, and known keys do not wait', async () => {
    await openWith([first], { timeoutMs: 400 });
    server.answer = hang;
    const asked = set.lookup('made-up', 'ES256');
    expect(await set.lookup('first', 'ES256')).toBeDefined();
    await expect(asked).rejects.toThrow(KeySetUnavailable);
  });
});

describe('refreshing', () => {
  test.each([
    ['no Cache-Control', {}, 540_000],
    ['max-age within bounds', { 'cache-control': 'public, max-age=120' }, 108_000],
    ['max-age minus Age', { 'cache-control': 'max-age=120', age: '20' }, 90_000],
    ['an absurdly long max-age', { 'cache-control': 'max-age=31536000' }, 540_000],
    ['max-age=0', { 'cache-control': 'max-age=0' }, 27_000],
    ['no-store', { 'cache-control': 'no-store' }, 27_000],
    ['spaces and tabs', { 'cache-control': 'public ,\tmax-age=120 ' }, 108_000],
    ['a max-age before U+00A0', { 'cache-control': 'max-age=120\xa0' }, 540_000],
    ['a max-age after U+00A0', { 'cache-control': 'public,\xa0max-age=120' }, 540_000],
    ['a max-age that is not a number', { 'cache-control': 'max-age=1e9' }, 540_000],
  ])('comes before the set expires, with %s', async (_name, headers, delayMs) => {
    server.answer = json({ keys: [first] }, headers as Record<string, string>);
    open().start();
    expect(await ended(1)).toMatchObject({ type: 'fetched', nextInMs: delayMs });
    expect(timers.delays).toEqual([delayMs]);
  });

  test('sends the ETag, and treats a 304 as a confirmation', async () => {
    server.answer = json({ keys: [first] }, { etag: '"v1"' });
    open().start();
    await ended(1);
    server.answer = status(304);
    timers.advance(540_000);
    expect(await ended(2)).toMatchObject({ type: 'fetched', changed: false, generation: 1 });
    expect(server.requests[1]?.headers).toMatchObject({ 'if-none-match': '"v1"', 'cache-control': 'max-age=0' });
    expect(set.stats).toMatchObject({ ageMs: 0, fetches: 2, failures: 0, keys: 1 });
  });

  describe('of a set whose URL changes', () => {
    const hourMs = 60 * 60 * 1_000;
    let old: KeyServer;
    beforeEach(async () => {
      old = server;
      server = await startKeyServer(json({ keys: [second] }, { etag: '"v1"' }));
      old.answer = json({ keys: [first] }, { etag: '"v1"' });
      let url = old.url;
      open({ url: async () => ({ url }), random: () => 0, cacheMaxAgeMs: 2 * hourMs }).start();
      await ended(2);
      url = server.url;
    });
    afterEach(() => old.close());
    const whatCame = (to: KeyServer) => to.requests.map(({ headers }) => headers['if-none-match']);
    const findings = () => [set.find('first', 'ES256') !== undefined, set.find('second', 'ES256') !== undefined];

    test('sends no ETag of the old URL to the new one, because equal tags there may name other keys', async () => {
      timers.advance(2 * hourMs);
      await ended(4);
      expect([whatCame(old), whatCame(server)]).toEqual([[undefined], [undefined]]);
      expect(findings()).toEqual([false, true]);
    });

    test('takes a 304 of the new URL for a failure, and confirms the set at the old URL with its ETag', async () => {
      server.answer = status(304);
      old.answer = status(304);
      timers.advance(2 * hourMs);
      await ended(5);
      expect([whatCame(old), whatCame(server)]).toEqual([[undefined, '"v1"'], [undefined]]);
      expect(findings()).toEqual([true, false]);
      expect(set.stats).toMatchObject({ ageMs: 0, failures: 1 });
    });

    test('sends the ETag of the new URL there, once its set is in use', async () => {
      timers.advance(2 * hourMs);
      await ended(4);
      server.answer = status(304);
      timers.advance(2 * hourMs);
      await ended(6);
      expect([whatCame(old), whatCame(server)]).toEqual([[undefined], [undefined, '"v1"']]);
      expect(findings()).toEqual([false, true]);
    });
  });

  test.each([
    ['none', {}, 108_000],
    ['its own', { 'cache-control': 'max-age=300' }, 270_000],
  ])('uses the last known max-age after a 304 with %s', async (_name, headers, delayMs) => {
    server.answer = json({ keys: [first] }, { etag: '"v1"', 'cache-control': 'max-age=120' });
    open().start();
    await ended(1);
    server.answer = status(304, headers as Record<string, string>);
    timers.advance(108_000);
    expect(await ended(2)).toMatchObject({ type: 'fetched', nextInMs: delayMs });
  });

  test('drops a withdrawn key, and increases the generation only when keys change', async () => {
    await openWith([first, second]);
    server.answer = json({ keys: [{ ...second, 'x-note': 'another order and member' }, first] });
    timers.advance(600_000);
    await ended(2);
    expect(set.generation).toBe(1);
    server.answer = json({ keys: [second] });
    timers.advance(600_000);
    await ended(3);
    expect(set.generation).toBe(2);
    expect(set.find('first', 'ES256')).toBeUndefined();
  });

  test('backs off with jitter after failures, and resets after a success', async () => {
    await openWith([first], { random: () => 0 });
    server.answer = status(500);
    timers.advance(600_000);
    expect(await ended(2)).toMatchObject({ nextInMs: 500, failuresInARow: 1 });
    timers.advance(500);
    expect(await ended(3)).toMatchObject({ nextInMs: 1_000, failuresInARow: 2 });
    server.answer = json({ keys: [first] });
    timers.advance(1_000);
    expect(await ended(4)).toMatchObject({ type: 'fetched', nextInMs: 450_000 });
  });

  test('stops and starts again', async () => {
    await openWith([first]);
    set.stop();
    expect(timers.delays).toEqual([]);
    set.start();
    await ended(2);
    expect(timers.delays).toHaveLength(1);
  });
});

test('reports why keys are ignored', async () => {
  await openWith([first, es256('twice'), es256('twice'), rsa('weak', 1024)], { algorithms: ['ES256', 'RS256'] });
  expect(events.filter(({ type }) => type === 'key_ignored')).toEqual([
    { type: 'key_ignored', kid: 'twice', reason: 'kid_duplicate' },
    { type: 'key_ignored', kid: 'twice', reason: 'kid_duplicate' },
    { type: 'key_ignored', kid: 'weak', reason: 'weak' },
  ]);
});

test('reports ignored keys once, and again when they change', async () => {
  const said = () => events.flatMap((event) => (event.type === 'key_ignored' ? [event.kid] : []));
  await openWith([first, rsa('weak', 1024)]);
  timers.advance(600_000);
  await ended(2);
  expect(said()).toEqual(['weak']);
  server.answer = json({ keys: [first, rsa('weak', 1024), { ...second, use: 'enc' }] });
  timers.advance(600_000);
  await ended(3);
  expect(said()).toEqual(['weak', 'weak', 'second']);
});

test.each(['file:///etc/passwd', 'http://user:secret@127.0.0.1/jwks', 'not a url'])('refuses the URL %s', (url) => {
  open();
  expect(() => remoteKeySet({ url, algorithms: ['ES256'], maxStaleMs: 1 })).toThrow();
});
