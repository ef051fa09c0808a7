import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readRevokeCall } from './revoke-call.ts';

const nowMs = Date.parse('2027-01-15T08:00:00.400Z');
const options = { issuer: 'https://sso.test', tenants: new Set(['acme']), nowMs, toleranceMs: 5_000 } as const;
const read = (body: unknown) =>
  readRevokeCall(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), options);

describe('a revoke call', () => {
  test.each([
    [{ session: 's-1' }, { kind: 'session', sessionId: 's-1' }],
    [{ user: 'auth0|u 1' }, { kind: 'user', userId: 'auth0|u 1' }],
    [{ member: { tenant: 'acme', user: 'u-1' } }, { kind: 'member', tenantId: 'acme', userId: 'u-1' }],
  ])('%j ends what it names, now', (subject, end) => {
    const notBeforeMs = Date.parse('2027-01-15T08:00:01Z');
    expect(read({ id: 'a', ...subject }).end).toEqual({
      ...end,
      issuer: options.issuer,
      notBeforeMs,
      event: 'revoked',
    });
  });

  test('has the time and the reason that it names', () => {
    expect(read({ id: 'a', user: 'u', at: '2027-01-15T09:00:00+02:00', reason: 'laptop stolen' }).end).toMatchObject({
      notBeforeMs: Date.parse('2027-01-15T07:00:01Z'),
      event: 'revoked (laptop stolen)',
    });
    expect(read({ id: 'a', user: 'u', at: '2027-01-15T08:00:05Z' }).end.notBeforeMs).toBe(nowMs - 400 + 6_000);
  });

  test.each<readonly [string, unknown]>([
    ['no id', { user: 'u' }],
    ['an id with a space', { id: 'a b', user: 'u' }],
    ['a long id', { id: 'a'.repeat(129), user: 'u' }],
    ['no subject', { id: 'a' }],
    ['two subjects', { id: 'a', user: 'u', session: 's' }],
    ['a null subject', { id: 'a', user: null }],
    ['a subject that is a number', { id: 'a', user: 7 }],
    ['an empty subject', { id: 'a', session: '' }],
    ['a subject of 257 bytes', { id: 'a', user: `${'é'.repeat(128)}x` }],
    ['a lone surrogate', '{"id":"a","user":"\\ud800"}'],
    ['a session with a space, which could name another tenant', { id: 'a', session: 'acme s-1' }],
    ['a tenant', { id: 'a', tenant: 'acme' }],
    ['an issuer', { id: 'a', user: 'u', issuer: 'https://other.test' }],
    ['a member without a user', { id: 'a', member: { tenant: 'acme' } }],
    ['a member without a tenant', { id: 'a', member: { user: 'u' } }],
    ['a member with more', { id: 'a', member: { tenant: 'acme', user: 'u', issuer: 'x' } }],
    ['a member in a list', { id: 'a', member: ['acme', 'u'] }],
    ["a tenant that is not the issuer's", { id: 'a', member: { tenant: 'globex', user: 'u' } }],
    ['a time in the future', { id: 'a', user: 'u', at: '2027-01-15T08:00:06Z' }],
    ['a time without a zone', { id: 'a', user: 'u', at: '2027-01-15T08:00:00' }],
    ['a time in a list', { id: 'a', user: 'u', at: ['2027-01-15T07:00:00Z'] }],
    ['a day that does not exist', { id: 'a', user: 'u', at: '2026-02-30T07:00:00Z' }],
    ['a number as its time', { id: 'a', user: 'u', at: 1_800_000_000 }],
    ['a reason of two lines', { id: 'a', user: 'u', reason: 'a\nb' }],
    ['a long reason', { id: 'a', user: 'u', reason: 'x'.repeat(129) }],
    ['a repeated name', '{"id":"a","user":"u","user":"v"}'],
    ['a repeated name, once escaped', '{"id":"a","user":"u","us\\u0065r":"v"}'],
    ['__proto__', '{"id":"a","__proto__":{"user":"u"}}'],
    ['two values', '{"id":"a","user":"u"}{}'],
    ['a list', [{ id: 'a', user: 'u' }]],
    ['no JSON', 'id=a&user=u'],
    ['nothing', ''],
    ['100,000 levels', `{"id":"a","user":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
  ])('with %s is refused', (_name, body) => {
    expect(() => read(body)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  test('has the same content if its values are equal, in any order of members, and another if one differs', () => {
    const { content } = read({ id: 'a', user: 'u', at: '2027-01-15T07:00:00Z' });
    expect(read({ at: '2027-01-15T07:00:00Z', user: 'u', id: 'b' }).content).toBe(content);
    for (const other of [
      { user: 'v' },
      { session: 'u', user: undefined },
      { at: '2027-01-15T07:00:01Z' },
      { reason: 'x' },
    ])
      expect(read({ id: 'a', user: 'u', at: '2027-01-15T07:00:00Z', ...other }).content).not.toBe(content);
  });

  test('of any JSON ends one session, user or member of its issuer, or is refused', () => {
    const key = fc.constantFrom('id', 'session', 'user', 'member', 'at', 'reason', 'tenant', '__proto__');
    const value = fc.oneof(fc.jsonValue(), fc.constant({ tenant: 'acme', user: 'u' }), fc.constant('u'));
    fc.assert(
      fc.property(fc.dictionary(key, value), (body) => {
        let end: ReturnType<typeof read>['end'];
        try {
          ({ end } = read(body));
        } catch (error) {
          expect(error).toMatchObject({ name: 'EventTokenError' });
          return;
        }
        expect(end.issuer).toBe(options.issuer);
        expect(['session', 'user', 'member']).toContain(end.kind);
        expect(end.notBeforeMs).toBeLessThanOrEqual(nowMs + options.toleranceMs + 1_000);
      }),
    );
  });
});
