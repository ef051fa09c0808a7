import { expect, test } from '@jest/globals';
import { isOfProof, neededFor } from './explain-request.ts';

test.each([
  ['token_expired', 'token'],
  ['token_revoked', 'token'],
  ['issuer_keys_unavailable', 'token'],
  ['revocations_unavailable', 'token'],
  ['dpop_proof_expired', 'token'],
  ['role_missing', 'token'],
  ['tenant_missing', 'token'],
  ['rate_limited', 'token'],
  ['caller_signature_refused', 'service'],
  ['call_expired', 'service'],
  ['txn_token_invalid', 'service'],
  ['token_missing', undefined],
  ['no_route', undefined],
  ['invalid_request', undefined],
])('a request refused with %s, before its caller was known, needs the %s', (refusal, needed) => {
  expect(neededFor(refusal)).toBe(needed);
});

test('a refused proof says nothing about the token', () => {
  expect([isOfProof('dpop_proof_expired'), isOfProof('token_expired')]).toEqual([true, false]);
});
