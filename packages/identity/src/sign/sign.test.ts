import { describe, expect, test } from '@jest/globals';
import { edKey, requestId, user } from '../../test/forge.ts';
import {
  type ClientClaims,
  emptyContentDigest,
  type IdentityClaims,
  newNonce,
  newRequestId,
  prepareIdentity,
  type RequestToSign,
  signRequest,
  type UserClaims,
} from '../index.ts';

const options = { createdSec: 1, lifetimeSec: 30, nonce: newNonce() };
const request: RequestToSign = { method: 'GET', path: '/', query: '', requestId, ip: '192.0.2.1' };
const txn = { txnToken: 'a.b.c' };

test('returns every applicable header in lower case, with the signature last', () => {
  const names = (claims: IdentityClaims, more: Partial<RequestToSign> = {}) =>
    signRequest(edKey, prepareIdentity(claims, 'svc'), { ...request, ...more }, options).map(([name]) => name);
  const always = ['x-request-id', 'x-identity', 'x-identity-audience', 'x-identity-context'];
  const last = ['signature-input', 'signature'];
  expect(names({ kind: 'anonymous' })).toEqual([...always, ...last]);
  expect(names(user, { ...txn, contentDigest: emptyContentDigest, contentType: 'text/plain' })).toEqual([
    ...always,
    'x-user-id',
    'x-user-role',
    'x-tenant-id',
    'txn-token',
    'content-digest',
    ...last,
  ]);
  expect(names({ kind: 'service', serviceId: 's' })).toEqual([...always, 'x-service-id', ...last]);
  expect(names({ kind: 'client', clientId: 'c' })).toEqual([...always, 'x-client-id', ...last]);
  expect(names({ kind: 'client', clientId: 'c', role: 'r', tenantId: 't' }, txn)).toEqual([
    ...always,
    'x-client-id',
    'x-user-role',
    'x-tenant-id',
    'txn-token',
    ...last,
  ]);
  expect(names({ kind: 'service', serviceId: 's', client: { clientId: 'c', tenantId: 't' } })).toEqual([
    ...always,
    'x-service-id',
    'x-client-id',
    'x-tenant-id',
    ...last,
  ]);
});

describe('refuses values outside the contract', () => {
  const person = { kind: 'user', userId: 'u', role: 'r', tenantId: 't' } as const;
  test.each<IdentityClaims>([
    { ...person, userId: '' },
    { ...person, userId: 'a b' },
    { ...person, userId: 'a\r\nx: y' },
    { ...person, userId: 'ü' },
    { ...person, userId: 'a'.repeat(129) },
    { ...person, role: 'Admin' },
    { ...person, role: 'a,b' },
    { ...person, role: 'a'.repeat(65) },
    { ...person, tenantId: 't/1' },
    { ...person, context: { sid: 'a b' } },
    { kind: 'service', serviceId: '' },
    { kind: 'service', serviceId: 's', user: { userId: 'u', role: '', tenantId: 't' } },
    { kind: 'service', serviceId: 's', user: {} as UserClaims },
    { kind: 'service', serviceId: 's', client: {} as ClientClaims },
    { kind: 'service', serviceId: 's', client: { role: 'r', tenantId: 't' } as ClientClaims },
    { kind: 'service', serviceId: 's', user: { userId: 'u', role: 'r', tenantId: 't' }, client: { clientId: 'c' } },
    { kind: 'client' } as IdentityClaims,
    { kind: 'client', clientId: '' },
    { kind: 'client', clientId: 'https://app.example/client' },
    { kind: 'client', clientId: 'c', role: '' },
    { kind: 'client', clientId: 'c', tenantId: '' },
    { ...person, context: { scope: ['a b'] } },
    { ...person, context: { scope: Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(128, 's')) } },
  ])('in an identity: %j', (claims) => {
    expect(() => prepareIdentity(claims, 'svc')).toThrow(RangeError);
  });

  test.each<unknown>([7, null, ['u'], { toString: () => 'u' }, undefined])(
    'in an identity parsed from JSON: %j',
    (userId) => {
      expect(() => prepareIdentity({ ...person, userId } as IdentityClaims, 'svc')).toThrow(RangeError);
    },
  );

  test('in an audience', () => {
    expect(() => prepareIdentity(person, 'a service')).toThrow(RangeError);
  });

  test.each<Partial<RequestToSign>>([
    { method: 'get' },
    { method: 'GET\r\nX: y' },
    { path: '' },
    { path: 'a' },
    { path: '/a?b' },
    { path: '/a#b' },
    { path: '/a b' },
    { path: '/ü' },
    { query: 'a' },
    { query: '?a#b' },
    { query: '?\n' },
    { requestId: 'x' },
    ...['', 'localhost', '192.0.2.1:80', 'fe80::1%eth0', '192.0.2.256', '1'].map((ip) => ({ ip })),
    { contentDigest: 'sha-512=:AAAA:' },
    { contentDigest: emptyContentDigest, contentType: 'text/plain\r\nx: y' },
    { contentDigest: emptyContentDigest, contentType: '' },
    { contentDigest: emptyContentDigest, contentType: 'tëxt' },
    { txnToken: 'a b' },
    { upgrade: { protocol: 'a b', key: 'dGhlIHNhbXBsZSBub25jZQ==' } },
    { upgrade: { protocol: 'websocket', key: 'short' } },
    { method: 'POST', upgrade: { protocol: 'websocket', key: 'dGhlIHNhbXBsZSBub25jZQ==' } },
    { path: '//a' },
    { path: '/a/../b' },
    { path: '/a/%2e' },
    { path: '/a\\b' },
    { query: "?a='" },
  ])('in a request: %j', (over) => {
    const sign = () => signRequest(edKey, prepareIdentity(person, 'svc'), { ...request, ...over }, options);
    expect(sign).toThrow(RangeError);
  });

  test.each(['anonymous', 'gateway'] as const)('a txn-token for %s', (kind) => {
    expect(() => signRequest(edKey, prepareIdentity({ kind }, 'svc'), { ...request, ...txn }, options)).toThrow(
      RangeError,
    );
  });
});

test('request ids are UUIDv7 with the current millisecond, nonces have 128 bits, and all are unique', () => {
  expect(newRequestId(0x01_23_45_67_89_ab)).toMatch(/^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(newNonce()).toMatch(/^[A-Za-z0-9_-]{22}$/);
  const made = Array.from({ length: 5000 }, () => [newNonce(), newRequestId()]).flat();
  expect(new Set(made).size).toBe(made.length);
});
