import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { VerifiedToken } from '../tokens/verified-tokens.ts';
import type { Caller } from './exchange.ts';
import { bucketKeys } from './limit.ts';

const idText = fc.stringMatching(/^[A-Za-z0-9._~:@|*-]{1,12}$/);
const issuerText = fc.constantFrom('https://a.test', 'https://a.test/', 'https://a.test:8443', 'http://a.test/user:x');
const optional = fc.option(idText, { nil: undefined });
/** A few distinct ids, so that users, OAuth clients and tenants often share one. */
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

  test('an OAuth client without a tenant has its own bucket', () => {
    const lone = client({ issuer: 'https://a.test', tenantId: undefined, clientId: 'job' });
    expect(keyOf('tenant', lone)).toBe(keyOf('user', lone));
  });

  test('an anonymous caller is counted by address', () => {
    expect(keyOf('user', { kind: 'anonymous', jkt: undefined })).toBe('address 192.0.2.1');
  });
});
