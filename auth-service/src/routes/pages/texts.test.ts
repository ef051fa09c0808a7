import { expect, test } from '@jest/globals';
import { errors } from '../../errors.ts';
import { de } from './texts-de.ts';
import { en } from './texts-en.ts';

/** The codes that only programs meet: of the API, of OAuth clients, and the steps of a login, which have pages. */
const ofPrograms = [
  ...['method_not_allowed', 'request_timeout', 'headers_too_large', 'audit_broken', 'tenant_mismatch'],
  ...['tenant_selection_required', 'mfa_required', 'refresh_token_reused', 'session_expired'],
  ...['invalid_client', 'unauthorized_client', 'unsupported_grant_type', 'unsupported_response_type', 'invalid_scope'],
  ...['target_not_offered', 'too_many_delegations', 'actor_not_allowed'],
];

test('every error that a person can meet on a page has a text in both languages', () => {
  const met = Object.keys(errors).filter((code) => !ofPrograms.includes(code));
  for (const { errors: texts } of [en, de]) expect(Object.keys(texts).toSorted()).toEqual(met.toSorted());
});
