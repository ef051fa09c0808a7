import { commonErrors, type ErrorTable, AppError as KitError } from '@countersign/service-kit';

/** A token was presented and is not good: 401 with `error="invalid_token"` (RFC 6750 section 3.1). */
const refusedToken = (title: string) => ({ status: 401, fault: 'caller', title }) as const;

/** A bound token came with a proof that is not good: 401 with `invalid_dpop_proof` or `use_dpop_nonce` (RFC 9449 section 7.1). */
const refusedProof = refusedToken;

/** A nested call that does not prove which service makes it, or for whom. Internal listener only. */
const refusedCall = (title: string) => ({ status: 401, fault: 'caller', title }) as const;

/** Every code the gateway answers with. `docs/errors.md` lists the same, and a test compares them. */
export const errorTable = {
  ...commonErrors,

  invalid_target: { status: 400, fault: 'caller', title: 'The request target is not in its one accepted form.' },
  invalid_host: { status: 400, fault: 'caller', title: 'The Host header is missing, repeated or malformed.' },
  body_not_allowed: { status: 400, fault: 'caller', title: 'A body is not taken here.' },
  upgrade_not_allowed: { status: 400, fault: 'caller', title: 'This path does not take this upgrade.' },
  no_route: { status: 404, fault: 'caller', title: 'Nothing is served at this path.' },
  uri_too_long: { status: 414, fault: 'caller', title: 'The request target is too long.' },
  expectation_failed: { status: 417, fault: 'caller', title: 'This expectation cannot be met.' },
  misdirected_request: { status: 421, fault: 'caller', title: 'This host is not served here.' },
  websocket_version_refused: { status: 426, fault: 'caller', title: 'Only version 13 of WebSocket is spoken here.' },
  too_many_sockets: { status: 429, fault: 'caller', title: 'Too many WebSockets are open. Close one, then try again.' },
  rate_limited: { status: 429, fault: 'caller', title: 'Too many requests. Wait, then try again.' },

  token_missing: { status: 401, fault: 'caller', title: 'This needs an access token.' },
  token_malformed: refusedToken('The access token is not a well-formed JWT.'),
  token_too_large: refusedToken('The access token is too large.'),
  token_header_refused: refusedToken('The access token has a header that is not accepted.'),
  token_type_refused: refusedToken('The token is not an access token.'),
  token_algorithm_refused: refusedToken('The access token is signed with an algorithm that is not accepted.'),
  token_issuer_unknown: refusedToken('The access token is from an issuer that is not trusted here.'),
  token_key_unknown: refusedToken('The access token is signed with a key that its issuer does not publish.'),
  token_signature_invalid: refusedToken('The signature of the access token does not hold.'),
  token_audience_refused: refusedToken('The access token was issued for somebody else.'),
  token_expired: refusedToken('The access token has expired.'),
  token_not_yet_valid: refusedToken('The access token is not valid yet.'),
  token_claims_invalid: refusedToken('A claim of the access token is missing or not acceptable.'),
  token_tenant_refused: refusedToken('The issuer of the access token may not speak for this tenant.'),
  token_role_refused: refusedToken('The issuer of the access token may not give this role.'),
  token_revoked: refusedToken('The access token has been revoked.'),
  token_proof_missing: refusedToken('The access token is bound to a key, and no proof of that key came with it.'),
  token_unbound: refusedToken('The access token is not bound to a key, and a bound one is needed.'),
  token_key_mismatch: refusedToken('The proof was made with another key than the access token is bound to.'),
  dpop_proof_invalid: refusedProof('The DPoP proof is malformed, or its signature does not hold.'),
  dpop_proof_mismatch: refusedProof('The DPoP proof was made for another method, address or access token.'),
  dpop_proof_expired: refusedProof('The DPoP proof is too old, or from the future.'),
  dpop_proof_replayed: refusedProof('The DPoP proof has been used already.'),
  dpop_nonce_required: refusedProof('The DPoP proof needs the nonce that comes with this answer.'),
  invalid_dpop_proof: { status: 400, fault: 'caller', title: 'The DPoP proof is not good for this request.' },
  use_dpop_nonce: {
    status: 400,
    fault: 'caller',
    title: 'The DPoP proof needs the nonce that comes with this answer.',
  },
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  origin_not_allowed: { status: 403, fault: 'caller', title: 'Pages of this origin may not call here.' },
  tenant_mismatch: { status: 403, fault: 'caller', title: 'This belongs to another tenant.' },

  caller_missing: refusedCall('This needs the signature of a service.'),
  caller_unknown: refusedCall('No service of this gateway signs with this key.'),
  caller_signature_refused: refusedCall("The service's signature does not hold for this call."),
  call_expired: refusedCall("The service's signature is too old, or from the future."),
  call_replayed: refusedCall('This call has been made already.'),
  txn_token_invalid: refusedCall('The txn-token is not one of this gateway, or was changed.'),
  txn_token_expired: refusedCall('The txn-token has expired.'),
  txn_token_foreign: refusedCall('The txn-token was handed to another service.'),
  caller_not_allowed: { status: 403, fault: 'caller', title: 'This service may not call this.' },
  call_too_deep: { status: 403, fault: 'caller', title: 'Too many services have called one another for this request.' },

  issuer_keys_unavailable: {
    status: 503,
    fault: 'ours',
    title: 'Tokens cannot be checked right now. Try again shortly.',
    retryAfterSec: 2,
  },
  revocations_unavailable: {
    status: 503,
    fault: 'ours',
    title: 'Revocations cannot be checked right now. Try again shortly.',
    retryAfterSec: 2,
  },
  dpop_replay_unavailable: {
    status: 503,
    fault: 'ours',
    title: 'Whether this DPoP proof was used before cannot be known right now. Try again shortly.',
    retryAfterSec: 2,
  },
  limit_store_unavailable: {
    status: 503,
    fault: 'capacity',
    title: 'Limits cannot be checked right now. Try again shortly.',
    retryAfterSec: 2,
  },

  identity_refused: { status: 502, fault: 'configuration', title: 'The service did not accept the gateway.' },
  upstream_unreachable: { status: 502, fault: 'upstream', title: 'The service cannot be reached.' },
  upstream_untrusted: {
    status: 502,
    fault: 'configuration',
    title: 'The service and the gateway do not accept each other.',
  },
  upstream_broken: { status: 502, fault: 'upstream', title: 'The service broke off before it had answered.' },
  upstream_invalid_response: { status: 502, fault: 'upstream', title: 'The service gave an answer that is not valid.' },
  upstream_timeout: { status: 504, fault: 'upstream', title: 'The service did not answer in time.' },
  upstream_circuit_open: {
    status: 503,
    fault: 'upstream',
    title: 'The service did not answer lately, and is given time. Try again later.',
    retryAfterSec: 1,
  },
  upstream_overloaded: {
    status: 503,
    fault: 'capacity',
    title: 'Too many requests wait for this service. Try again shortly.',
    retryAfterSec: 1,
  },
  identity_unavailable: {
    status: 503,
    fault: 'upstream',
    title: 'The service cannot check right now that this request came from the gateway, once. Try again shortly.',
    retryAfterSec: 1,
  },
} as const satisfies ErrorTable;

export type Code = keyof typeof errorTable;

export const AppError = KitError<Code>;
export type AppError = KitError<Code>;
