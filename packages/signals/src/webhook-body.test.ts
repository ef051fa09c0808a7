import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readWebhook, type WebhookFormat } from './webhook-body.ts';

const nowMs = Date.parse('2027-01-15T08:00:00.400Z');
const options = {
  issuer: 'https://sso.test',
  where: {},
  sessions: true,
  tenants: new Set(['acme']),
  nowMs,
  toleranceMs: 5_000,
} as const;
const format: WebhookFormat = {
  verify: { kind: 'bearer' },
  type: '/type',
  unit: 'milliseconds',
  ends: [
    { type: ['session'], session: '/data/session', user: '/data/user' },
    { type: ['user'], user: '/data/user', at: '/at' },
    { type: ['updated'], when: { '/data/banned': true }, user: '/data/user' },
    { type: ['left'], user: '/data/user', tenant: '/data/tenant' },
    { type: ['odd'], user: '/a~1b/~01/0' },
  ],
};
const bodyOf = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const read = (value: unknown, changes: object = {}, own: object = {}, proved = {}) =>
  readWebhook(bodyOf(value), { ...format, ...own }, proved, { ...options, ...changes });
const endsOf = (...args: Parameters<typeof read>) =>
  read(...args).ends.map(({ issuer: _, notBeforeMs: __, event: ___, ...end }) => end);
const user = { kind: 'user', userId: 'u' };

describe('a webhook', () => {
  test.each<readonly [string, unknown, object, readonly unknown[]]>([
    ['a session', { type: 'session', data: { session: 's', user: 'u' } }, {}, [{ kind: 'session', sessionId: 's' }]],
    ['the user of a session that it does not name', { type: 'session', data: { user: 'u' } }, {}, [user]],
    [
      'the user, if tokens name no session',
      { type: 'session', data: { session: 's', user: 'u' } },
      { sessions: false },
      [user],
    ],
    ['nothing without a session and a user', { type: 'session', data: {} }, {}, []],
    ['a user', { type: 'user', data: { user: 'u' }, at: 1_000 }, {}, [user]],
    ['nothing if its time is null', { type: 'user', data: { user: 'u' }, at: null }, {}, []],
    ['nothing without its time', { type: 'user', data: { user: 'u' } }, {}, []],
    ['a user under a condition', { type: 'updated', data: { user: 'u', banned: true } }, {}, [user]],
    ['nothing if the condition is false', { type: 'updated', data: { user: 'u', banned: false } }, {}, []],
    ['nothing if the condition is a text', { type: 'updated', data: { user: 'u', banned: 'true' } }, {}, []],
    [
      'a member',
      { type: 'left', data: { user: 'u', tenant: 'acme' } },
      {},
      [{ kind: 'member', userId: 'u', tenantId: 'acme' }],
    ],
    ["nothing in a tenant that is not the issuer's", { type: 'left', data: { user: 'u', tenant: 'globex' } }, {}, []],
    ['nothing in no tenant, rather than all tenants', { type: 'left', data: { user: 'u' } }, {}, []],
    [
      'nothing in a tenant of an issuer without tenants',
      { type: 'left', data: { user: 'u', tenant: 'acme' } },
      { tenants: 'none' },
      [],
    ],
    ['what an escaped pointer names', { type: 'odd', 'a/b': { '~1': ['u'] } }, {}, [user]],
    ['nothing if it is another event', { type: 'created', data: { user: 'u' } }, {}, []],
    [
      'nothing by a member of the prototype',
      { type: 'user', data: { user: 'u' }, at: 1 },
      { where: { '/__proto__/__proto__': null } },
      [],
    ],
    [
      'nothing of another project',
      { type: 'session', project: 'b', data: { user: 'u' } },
      { where: { '/project': 'a' } },
      [],
    ],
    ['its project', { type: 'session', project: 'a', data: { user: 'u' } }, { where: { '/project': 'a' } }, [user]],
  ])('ends %s', (_name, value, changes, ends) => {
    expect(endsOf(value, changes)).toEqual(ends);
  });

  test.each<readonly [string, unknown, object?]>([
    ['a list', [{ type: 'user' }]],
    ['no JSON', 'type=user'],
    ['no type', { data: { user: 'u' } }],
    ['a type that is a number', { type: 7 }],
    ['a user that is a number', { type: 'session', data: { user: 7 } }],
    ['a user of 257 bytes', { type: 'session', data: { user: 'x'.repeat(257) } }],
    ['an empty user', { type: 'session', data: { user: '' } }],
    ['a user that is no text', '{"type":"session","data":{"user":"\\udc00"}}'],
    ['a session with a space', { type: 'session', data: { session: 'acme s-1', user: 'u' } }],
    ['a time that is a word', { type: 'user', data: { user: 'u' }, at: 'now' }],
    ['a negative time', { type: 'user', data: { user: 'u' }, at: -1 }],
    ['a repeated name', '{"type":"session","data":{"user":"u","user":"v"}}'],
    ['a repeated name on the way', '{"type":"session","data":{"user":"u"},"data":{"user":"v"}}'],
    ['33 levels', `{"type":"session","data":${'['.repeat(32)}${']'.repeat(32)}}`],
    ['100,000 levels', `{"type":"session","data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['201 events', { list: Array(201).fill({ type: 'session', data: { user: 'u' } }) }, { each: '/list' }],
    ['no list of events', { list: { type: 'session' } }, { each: '/list' }],
    [
      'one bad event among good ones',
      {
        list: [
          { type: 'session', data: { user: 'u' } },
          { type: 'session', data: { user: 7 } },
        ],
      },
      { each: '/list' },
    ],
    ['an id that is a number', { type: 'session', id: 7 }, { id: '/id' }],
  ])('with %s is refused as a whole', (_name, value, own = {}) => {
    expect(() => read(value, {}, own)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  test('ends each of up to 200 events', () => {
    const list = Array.from({ length: 200 }, (_, at) => ({ type: 'session', data: { session: `s-${at}` } }));
    const { ends, id } = read(
      { list: [...list.slice(1), { type: 'other' }], id: 'd-1' },
      {},
      { each: '/list', id: '/id' },
    );
    expect([ends.length, id]).toEqual([199, 'd-1']);
  });

  test.each<readonly [string, unknown, object, number]>([
    ['of its body', Date.parse('2027-01-15T07:00:00.900Z'), {}, Date.parse('2027-01-15T07:00:01Z')],
    ['of its body as a text', '2027-01-15T09:00:00.123456789+02:00', {}, Date.parse('2027-01-15T07:00:01Z')],
    ['of its body in seconds', 1_800_000_000, { unit: 'seconds' }, 1_800_000_001_000],
    ['now plus the tolerance, if it is in the future', '2099-01-01T00:00:00Z', {}, nowMs + 5_600],
  ])('has the time %s', (_name, at, own, notBeforeMs) => {
    const [end] = read({ type: 'user', data: { user: 'u' }, at }, {}, own).ends;
    expect(end?.notBeforeMs).toBe(notBeforeMs);
  });

  test('without a time of its own has the signed time, and otherwise that of its arrival', () => {
    const timeOf = (proved: object) =>
      read({ type: 'session', data: { user: 'u' } }, {}, {}, proved).ends[0]?.notBeforeMs;
    expect(timeOf({ signedAtMs: 1_800_000_000_000 })).toBe(1_800_000_001_000);
    expect(timeOf({})).toBe(nowMs + 600);
  });

  test('of any JSON ends sessions, users and members of its issuer, never in the future, or is refused', () => {
    const id = fc.oneof(fc.string(), fc.jsonValue());
    const event = fc.record({
      type: fc.constantFrom('session', 'user', 'updated', 'left', 'odd', 'x'),
      data: fc.record(
        { session: id, user: id, tenant: fc.oneof(id, fc.constant('acme')), banned: fc.boolean() },
        { requiredKeys: [] },
      ),
      at: fc.oneof(
        fc.jsonValue(),
        fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      ),
    });
    fc.assert(
      fc.property(event, (value) => {
        let ends: ReturnType<typeof read>['ends'];
        try {
          ({ ends } = read(value));
        } catch (error) {
          expect(error).toMatchObject({ name: 'EventTokenError', code: 'invalid_request' });
          return;
        }
        for (const end of ends) {
          expect(end.issuer).toBe(options.issuer);
          expect(['session', 'user', 'member']).toContain(end.kind);
          expect(end.notBeforeMs).toBeLessThanOrEqual(nowMs + options.toleranceMs + 1_000);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
