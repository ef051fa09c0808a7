import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Caller } from '../exchange.ts';
import type { VerifiedToken } from '../tokens/verified-token.ts';
import { bucketKey } from './limit.ts';

const idText = fc.stringMatching(/^[A-Za-z0-9._~:@|*-]{1,12}$/);
const issuerText = fc.constantFrom('https://a.test', 'https://a.test/', 'https://a.test:8443', 'http://a.test/user:x');
const person = fc.record({ issuer: issuerText, tenantId: idText, userId: idText });
type Person = Readonly<{ issuer: string; tenantId: string; userId: string }>;

const caller = ({ issuer, tenantId, userId }: Person): Caller => {
  const token = { issuer: { config: { issuer } } } as VerifiedToken;
  return { kind: 'user', userId, role: 'agent', tenantId, token, bound: false, jkt: undefined };
};
const client = { address: '192.0.2.1', protocol: 'http', host: 'gateway.test', origin: undefined } as const;
const keyOf = (by: 'user' | 'tenant', who: Person) => bucketKey({ by }, { caller: caller(who), client });

describe('the bucket of a request', () => {
  test('two users share a bucket only if issuer and id are equal, for any characters in ids', () => {
    fc.assert(
      fc.property(person, person, (one, other) => {
        const same = one.issuer === other.issuer && one.userId === other.userId;
        expect(keyOf('user', one) === keyOf('user', other)).toBe(same);
        const sameTenant = one.issuer === other.issuer && one.tenantId === other.tenantId;
        expect(keyOf('tenant', one) === keyOf('tenant', other)).toBe(sameTenant);
        expect(keyOf('user', one)).not.toBe(keyOf('tenant', other));
      }),
    );
  });

  test('an anonymous caller counts by address', () => {
    expect(bucketKey({ by: 'user' }, { caller: { kind: 'anonymous', jkt: undefined }, client })).toBe(
      'address 192.0.2.1',
    );
  });
});
