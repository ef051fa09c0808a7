import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal } from '@countersign/signals';
import { capturingLogger, eventually, testClock } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type EndedTokens, EventStream, type EventStreamConfig } from './event-stream.ts';

const clock = testClock();
const issuer = 'https://sso.example.test';
const lifetimeSec = 3_600;

describe("an issuer's events", () => {
  let directory: string;
  let journal: Journal;
  let streams: EventStream[];
  const log = capturingLogger();
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'countersign-stream-'));
    journal = new Journal({ directory, nowMs: clock.nowMs });
    journal.open();
    streams = [];
  });
  afterEach(() => {
    for (const stream of streams) stream.stop();
    journal.close();
    rmSync(directory, { recursive: true });
  });

  async function open(
    config: Partial<EventStreamConfig> = {},
    bounds: { maxHeld?: number; maxPerTenant?: number } = {},
  ) {
    const stream = new EventStream(
      {
        issuer,
        maxTokenLifetimeSec: lifetimeSec,
        maxStalenessMs: 30_000,
        onStale: 'allow',
        onOverflow: 'revoke',
        ...config,
      },
      { journal, shared: undefined, nowMs: clock.nowMs, logger: log.logger, onChange() {}, onLag() {}, ...bounds },
    );
    streams.push(stream);
    stream.start();
    await eventually(() => expect(stream.revocations.ready).toBe(true));
    return stream;
  }

  let count = 0;
  const receive = (stream: EventStream, end: Partial<EndedTokens> & Pick<EndedTokens, 'kind' | 'name'>) => {
    count += 1;
    const origin = {
      source: 'shared_signals',
      event: 'session-revoked',
      jti: `j-${count}`,
      atMs: clock.nowMs(),
    } as const;
    return stream.receive([{ tenantId: undefined, notBeforeMs: clock.nowMs() + 1_000, ...end }], origin);
  };
  const nowSec = () => clock.nowMs() / 1000;
  const codeOf = (stream: EventStream, userId: string, tenantId: string, issuedAtSec = nowSec()) => {
    const claims = { sessionId: undefined, userId, tenantId, clientId: undefined, issuedAtSec };
    return stream.revocations.refusalOf(claims, 'k', clock.nowMs())?.code ?? 'valid';
  };
  const member = (tenantId: string, userId: string) =>
    ({ kind: 'member', name: `${tenantId} ${userId}`, tenantId }) as const;

  test("a tenant's mass deletion ends all its older tokens, and no other tenant's", async () => {
    const stream = await open({}, { maxPerTenant: 3 });
    for (let at = 0; at < 100; at += 1) await receive(stream, member('a', `u-${at}`));
    expect(stream.revocations.size).toBe(4);
    expect(codeOf(stream, 'u-99', 'a')).toBe('token_revoked');
    expect(codeOf(stream, 'innocent', 'a')).toBe('token_revoked');
    expect(codeOf(stream, 'innocent', 'a', nowSec() + 2)).toBe('valid');
    expect(codeOf(stream, 'u-99', 'b')).toBe('valid');
    expect(log.text()).toContain('too_many_events');
    // A restart does not change that.
    const again = await open();
    expect(codeOf(again, 'u-99', 'a')).toBe('token_revoked');
    expect(codeOf(again, 'u-99', 'b')).toBe('valid');
  });

  test('when memory fills up, the largest tenant is collapsed, and others keep entries of their own', async () => {
    const stream = await open({}, { maxHeld: 64 });
    const receiveAll = async (tenant: string, count: number) => {
      for (let at = 0; at < count; at += 1) await receive(stream, member(tenant, `u-${at}`));
    };
    await receiveAll('small', 5);
    await receiveAll('large', 200);
    await receiveAll('later', 5);
    expect(codeOf(stream, 'innocent', 'large')).toBe('token_revoked');
    for (const tenant of ['small', 'later']) {
      expect([codeOf(stream, 'u-4', tenant), codeOf(stream, 'innocent', tenant)]).toEqual(['token_revoked', 'valid']);
    }
    expect(stream.revocations.refusedBeforeMs(clock.nowMs())).toBeUndefined();
    // The journal has the tenants too, so the same holds after a restart.
    const again = await open({}, { maxHeld: 64 });
    await receive(again, member('large', 'another'));
    expect([again.revocations.size, codeOf(again, 'innocent', 'small')]).toEqual([stream.revocations.size, 'valid']);
  });

  test('the same subject has one entry, however often its tokens end', async () => {
    const stream = await open({}, { maxPerTenant: 3 });
    for (let at = 0; at < 10; at += 1) {
      await receive(stream, member('a', 'u-1'));
      clock.advance(1_000);
    }
    expect(stream.revocations.size).toBe(1);
    expect(codeOf(stream, 'u-2', 'a')).toBe('valid');
  });

  test('get 503 if memory is full and onOverflow is refuse, and nothing else ends', async () => {
    const stream = await open({ onOverflow: 'refuse' }, { maxHeld: 2 });
    for (const name of ['u-1', 'u-2']) await receive(stream, { kind: 'user', name });
    await expect(receive(stream, { kind: 'user', name: 'u-3' })).rejects.toMatchObject({ code: 'events_unavailable' });
    expect(['u-1', 'u-2', 'u-3', 'u-4'].map((user) => codeOf(stream, user, 'a'))).toEqual([
      'token_revoked',
      'token_revoked',
      'valid',
      'valid',
    ]);
  });

  test('are unknown from before the journal began: with deny, older tokens get 503 and later ones pass', async () => {
    const stream = await open({ onStale: 'deny' });
    const before = nowSec() - 60;
    expect(codeOf(stream, 'u-1', 'a', before)).toBe('revocations_unavailable');
    expect(codeOf(stream, 'u-1', 'a')).toBe('valid');
    const lenient = await open();
    expect(codeOf(lenient, 'u-1', 'a', before)).toBe('valid');
    // The start of the journal is still known after a restart.
    clock.advance(120_000);
    const again = await open({ onStale: 'deny' });
    expect(codeOf(again, 'u-1', 'a', nowSec() - 60)).toBe('valid');
  });

  test('are removed once every token that they could end has expired', async () => {
    const stream = await open();
    await receive(stream, { kind: 'user', name: 'u-1' });
    expect(codeOf(stream, 'u-1', 'a')).toBe('token_revoked');
    clock.advance((lifetimeSec + 10) * 1_000);
    await receive(stream, { kind: 'user', name: 'u-1', notBeforeMs: clock.nowMs() - lifetimeSec * 1_000 });
    const again = await open();
    expect(again.revocations.size).toBe(0);
  });

  test('stay in effect when a new configuration replaces the one that received them', async () => {
    const old = await open();
    const replacing = await open({ maxStalenessMs: 60_000 });
    await receive(old, { kind: 'user', name: 'u-1' });
    expect(codeOf(replacing, 'u-1', 'a')).toBe('token_revoked');
  });

  test('count as repeated only once they are on disk: a failed write is answered 503, and sent again it applies', async () => {
    const stream = await open();
    const end = [{ ...member('a', 'u-1'), notBeforeMs: clock.nowMs() + 1_000 }];
    const origin = { source: 'shared_signals', event: 'session-revoked', jti: 'again', atMs: clock.nowMs() } as const;
    // After an hour, the journal begins another file, and its directory is gone.
    clock.advance(3_600_000);
    rmSync(directory, { recursive: true });
    for (const _time of [1, 2]) {
      await expect(stream.receive(end, origin)).rejects.toMatchObject({ code: 'events_unavailable' });
      expect(codeOf(stream, 'u-1', 'a', 0)).toBe('valid');
    }
    mkdirSync(directory);
    const now = [{ ...member('a', 'u-1'), notBeforeMs: clock.nowMs() + 1_000 }];
    expect(await stream.receive(now, origin)).toBe('applied');
    expect(codeOf(stream, 'u-1', 'a')).toBe('token_revoked');
    expect(await stream.receive(now, origin)).toBe('repeated');
    expect(await stream.receive(now, { ...origin, jti: 'another' })).toBe('applied');
    expect(await stream.receive(now, { ...origin, source: 'backchannel_logout' })).toBe('applied');
    expect(codeOf(await open(), 'u-1', 'a')).toBe('token_revoked');
  });

  test('of an old end of a session are kept, because a session stays ended; of an old end of a user are not', async () => {
    const stream = await open();
    const notBeforeMs = clock.nowMs() - 2 * lifetimeSec * 1_000;
    await receive(stream, { kind: 'session', name: 's-old', notBeforeMs });
    await receive(stream, { kind: 'user', name: 'u-old', notBeforeMs });
    const subject = { sessionId: 's-old', userId: 'u-9', tenantId: 'a', clientId: undefined, issuedAtSec: nowSec() };
    expect(stream.revocations.refusalOf(subject, 'k', clock.nowMs())?.code).toBe('token_revoked');
    expect(stream.revocations.size).toBe(1);
  });

  test('say which event ended a token', async () => {
    const stream = await open();
    await receive(stream, { kind: 'user', name: 'u-1' });
    const subject = { sessionId: 's', userId: 'u-1', tenantId: 'a', clientId: undefined, issuedAtSec: 0 };
    expect(stream.originOf(subject)).toMatchObject({ source: 'shared_signals', event: 'session-revoked' });
    expect(stream.originOf({ ...subject, userId: 'u-2' })).toBeUndefined();
  });

  describe('from webhooks and calls', () => {
    const deliver = (stream: EventStream, end: Pick<EndedTokens, 'kind' | 'name'>, origin: object = {}, agoMs = 0) => {
      count += 1;
      const notBeforeMs = clock.nowMs() - agoMs + 1_000;
      const ends = [{ tenantId: undefined, notBeforeMs, ...end }];
      return stream.receive(ends, { source: 'webhook', event: 'e', jti: `d-${count}`, atMs: clock.nowMs(), ...origin });
    };
    const user = (id: string) => ({ kind: 'user', name: id }) as const;
    const unavailable = expect.objectContaining({ code: 'events_unavailable' });

    test.each(['revoke', 'refuse'] as const)(
      'take half of the memory, and then 503, with onOverflow: %s',
      async (onOverflow) => {
        const stream = await open({ onOverflow }, { maxHeld: 10 });
        for (let at = 0; at < 5; at += 1) expect(await deliver(stream, user(`u-${at}`))).toBe('applied');
        await expect(deliver(stream, user('u-5'))).rejects.toThrow(unavailable);
        await expect(deliver(stream, user('u-5'), { source: 'call' })).rejects.toThrow(unavailable);
        // Known users need no memory, and Shared Signals have their own half.
        expect(await deliver(stream, user('u-4'))).toBe('applied');
        for (let at = 0; at < 5; at += 1) await receive(stream, user(`s-${at}`));
        await expect(deliver(stream, user('u-6'))).rejects.toThrow(unavailable);
        expect(stream.revocations.refusedBeforeMs(clock.nowMs())).toBeUndefined();
        for (const id of ['u-0', 'u-4', 's-0', 's-4']) expect(codeOf(stream, id, 'a')).toBe('token_revoked');
        expect(codeOf(stream, 'u-5', 'a')).toBe('valid');
        clock.advance((lifetimeSec + 120) * 1000);
        expect(await deliver(stream, user('u-5'))).toBe('applied');
      },
    );

    test('never end a tenant to save memory', async () => {
      const stream = await open({}, { maxPerTenant: 3, maxHeld: 100 });
      for (let at = 0; at < 20; at += 1) await deliver(stream, member('a', `u-${at}`));
      expect([codeOf(stream, 'u-19', 'a'), codeOf(stream, 'innocent', 'a')]).toEqual(['token_revoked', 'valid']);
    });

    test('are remembered by source, with their content, after a restart too', async () => {
      const first = await open();
      const call = { source: 'call', jti: 'same', content: 'one' } as const;
      expect(await deliver(first, user('u'), call)).toBe('applied');
      for (const stream of [first, await open()]) {
        expect(await deliver(stream, user('u'), call)).toBe('repeated');
        await expect(deliver(stream, user('v'), { ...call, content: 'two' })).rejects.toThrow(
          expect.objectContaining({ code: 'event_id_reused' }),
        );
        expect(codeOf(stream, 'v', 'a')).toBe('valid');
      }
      expect(await deliver(first, user('w'), { jti: 'same' })).toBe('applied');
    });

    test('that arrive twice at once are stored once, and neither is acknowledged if that fails', async () => {
      const stream = await open({}, { maxHeld: 2 });
      const twice = (name: string) =>
        Promise.allSettled([1, 2].map(() => deliver(stream, user(name), { jti: `of-${name}` })));
      expect((await twice('u')).map((one) => 'value' in one && one.value)).toEqual(['applied', 'repeated']);
      for await (const stored of journal.read(issuer)) expect(stored).toHaveLength(1);
      // The memory is full.
      expect((await twice('v')).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    });

    test('of longer ago than a token lives are not stored, sessions included', async () => {
      const stream = await open();
      for (const end of [user('u'), { kind: 'session', name: 's' } as const])
        expect(await deliver(stream, end, {}, (lifetimeSec + 2) * 1000)).toBe('expired');
      expect(stream.revocations.size).toBe(0);
    });
  });
});
