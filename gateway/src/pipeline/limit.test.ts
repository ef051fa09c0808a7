import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { exampleRoute } from '../../test/kit/example-route.ts';
import type { Limiter } from '../limits/limiter.ts';
import type { VerifiedToken } from '../tokens/verified-tokens.ts';
import type { Caller } from './exchange.ts';
import { bucketKeys, compileLimits } from './limit.ts';

/** Of two ids, more than a quarter are equal. */
const idText = fc.oneof(fc.constantFrom('a', 'b'), fc.stringMatching(/^[A-Za-z0-9._~:@|*-]{1,12}$/));
const issuerText = fc.constantFrom('https://a.test', 'https://a.test/', 'https://a.test:8443', 'http://a.test/user:x');
const optional = fc.option(idText, { nil: undefined });
const person = fc.record({ issuer: issuerText, tenantId: idText, userId: idText, clientId: optional });
const oauthClient = fc.record({ issuer: issuerText, tenantId: optional, clientId: idText });
type Person = Readonly<{ issuer: string; tenantId: string; userId: string; clientId: string | undefined }>;
type OauthClient = Readonly<{ issuer: string; tenantId: string | undefined; clientId: string }>;

const user = ({ issuer, tenantId, userId, clientId }: Person): Caller => {
  const claims = { userId, clientId, tenantId };
  const token = { claims, issuer: { config: { issuer } } } as VerifiedToken;
  return { kind: 'user', token, bound: false, jkt: undefined };
};
const client = ({ issuer, tenantId, clientId }: OauthClient): Caller => {
  const claims = { userId: undefined, clientId, tenantId };
  const token = { claims, issuer: { config: { issuer } } } as VerifiedToken;
  return { kind: 'client', token, bound: false, jkt: undefined };
};
const address = { address: '192.0.2.1', protocol: 'http', host: 'gateway.test', origin: undefined } as const;
const keyOf = (by: 'user' | 'client' | 'tenant', caller: Caller) => bucketKeys[by]({ caller, client: address });

describe('the bucket for a request', () => {
  test('two users share a bucket only if issuer and id are equal, whatever characters the ids contain', () => {
    fc.assert(
      fc.property(person, person, (one, other) => {
        const [a, b] = [user(one), user(other)];
        const isOneIssuer = one.issuer === other.issuer;
        expect(keyOf('user', a) === keyOf('user', b)).toBe(isOneIssuer && one.userId === other.userId);
        expect(keyOf('tenant', a) === keyOf('tenant', b)).toBe(isOneIssuer && one.tenantId === other.tenantId);
        expect(keyOf('user', a)).not.toBe(keyOf('tenant', b));
        if (one.clientId === undefined) expect(keyOf('client', a)).toBe(keyOf('user', a));
        else expect(keyOf('client', a) === keyOf('client', b)).toBe(isOneIssuer && one.clientId === other.clientId);
      }),
    );
  });

  test('an OAuth client never shares a bucket with a user, even if their ids are equal', () => {
    fc.assert(
      fc.property(person, oauthClient, fc.boolean(), (someone, something, isSameId) => {
        const a = user(someone);
        const b = client({ ...something, ...(isSameId && { clientId: someone.userId, issuer: someone.issuer }) });
        for (const by of ['user', 'client', 'tenant'] as const) expect(keyOf('user', a)).not.toBe(keyOf(by, b));
        expect(keyOf('user', b)).not.toBe(keyOf('tenant', a));
      }),
    );
  });

  const one = { issuer: 'https://a.test', tenantId: 't', userId: 'u', clientId: 'c' };
  const other = { issuer: 'https://b.test', tenantId: 't-2', userId: 'u-2', clientId: 'c-2' };
  type Part = keyof typeof one;
  test.each<['user' | 'client' | 'tenant', 'a user' | 'an OAuth client', readonly Part[]]>([
    ['user', 'a user', ['issuer', 'userId']],
    ['user', 'an OAuth client', ['issuer', 'clientId']],
    ['client', 'a user', ['issuer', 'clientId']],
    ['client', 'an OAuth client', ['issuer', 'clientId']],
    ['tenant', 'a user', ['issuer', 'tenantId']],
    ['tenant', 'an OAuth client', ['issuer', 'tenantId']],
  ])('a limit by %s counts %s by %p, and by nothing else', (by, kind, parts) => {
    const callerOf = kind === 'a user' ? user : client;
    const key = keyOf(by, callerOf(one));
    for (const part of Object.keys(one) as Part[]) {
      const changed = keyOf(by, callerOf({ ...one, [part]: other[part] }));
      expect([part, changed === key]).toEqual([part, !parts.includes(part)]);
    }
    // The same token again, whose key is remembered.
    const caller = callerOf(one);
    expect([keyOf(by, caller), keyOf(by, caller)]).toEqual([key, key]);
  });

  test('a service has a bucket of its own, and a nested call has that of its user or OAuth client', () => {
    const service = (serviceId: string, principal?: Caller): Caller =>
      ({ kind: 'service', serviceId, principal }) as Caller;
    for (const by of ['user', 'client', 'tenant'] as const) {
      expect(keyOf(by, service('a'))).not.toBe(keyOf(by, service('b')));
      for (const caller of [user(one), client(one)]) expect(keyOf(by, service('a', caller))).toBe(keyOf(by, caller));
    }
    const alike = [service('u'), user(one), user({ ...one, userId: 'u' }), client({ ...one, clientId: 'u' })];
    expect(new Set(alike.map((caller) => keyOf('user', caller))).size).toBe(3);
  });

  test('an OAuth client without a tenant has its own bucket', () => {
    const lone = client({ issuer: 'https://a.test', tenantId: undefined, clientId: 'job' });
    expect(keyOf('tenant', lone)).toBe(keyOf('user', lone));
  });

  test('an anonymous caller is counted by address', () => {
    expect(keyOf('user', { kind: 'anonymous', jkt: undefined })).toBe('address 192.0.2.1');
  });
});

describe('the limits of a route', () => {
  const limit = { by: 'user', requests: 10, perSec: 60, onStoreFailure: 'local' } as const;
  const namesOf = (...routes: Parameters<typeof exampleRoute>[0][]) => {
    const names: string[] = [];
    const limiterFor = (name: string) => {
      names.push(name);
      return {} as Limiter;
    };
    for (const route of routes) compileLimits(exampleRoute(route), limiterFor);
    return names;
  };

  test('never share a counter: another route, place, kind or period has another name', () => {
    const names = namesOf(
      { name: 'a', path: '/a', limits: [limit, limit, { ...limit, by: 'tenant' }, { ...limit, perSec: 3_600 }] },
      { name: 'b', path: '/b', limits: [limit, { ...limit, by: 'client' }, limit, { ...limit, perSec: 60 }] },
      { name: 'c', path: '/c', limits: [{ ...limit, perSec: 61 }] },
      { name: 'c', path: '/c', limits: [{ ...limit, perSec: 62 }] },
      { name: 'c', path: '/c', limits: [{ ...limit, by: 'route', perSec: 61 }] },
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test('are checked from the narrowest to the widest, in whatever order the file names them', () => {
    const kinds = ['user', 'address', 'client', 'tenant', 'route'] as const;
    const limits = kinds.toReversed().map((by) => ({ ...limit, by }));
    const compiled = compileLimits(exampleRoute({ path: '/a', limits }), () => ({}) as Limiter);
    expect(compiled.limits.map(({ policy }) => policy)).toEqual(kinds);
    expect(compiled.policies).toBe(limits.map(({ by }) => `"${by}";q=10;w=60`).join(', '));
  });
});
