import { commonErrors, type ErrorTable, AppError as KitError } from '@countersign/service-kit';

/** A presented token is invalid: 401 with `error="invalid_token"` (RFC 6750 section 3.1). */
const refusedToken = (title: string) => ({ status: 401, fault: 'caller', title }) as const;

/** The proof of a bound token is invalid: 401 with `invalid_dpop_proof` or `use_dpop_nonce` (RFC 9449 section 7.1). */
const refusedProof = refusedToken;

/** A nested call has no valid signature or txn-token. Internal listener only. */
const refusedCall = (title: string) => ({ status: 401, fault: 'caller', title }) as const;

/** Every error code of the gateway. A test compares them with `docs/errors.md`. */
export const errorTable = {
  ...commonErrors,

  invalid_target: { status: 400, fault: 'caller', title: 'The request URL is not in canonical form.' },
  invalid_host: { status: 400, fault: 'caller', title: 'The Host header is missing, repeated or malformed.' },
  body_not_allowed: { status: 400, fault: 'caller', title: 'This endpoint does not accept a request body.' },
  upgrade_not_allowed: { status: 400, fault: 'caller', title: 'This endpoint does not accept this upgrade.' },
  no_route: { status: 404, fault: 'caller', title: 'No route matches this path.' },
  uri_too_long: { status: 414, fault: 'caller', title: 'The request URL is too long.' },
  expectation_failed: { status: 417, fault: 'caller', title: 'The Expect header has an unsupported value.' },
  misdirected_request: { status: 421, fault: 'caller', title: 'This gateway does not serve this host.' },
  websocket_version_refused: { status: 426, fault: 'caller', title: 'Only WebSocket version 13 is supported.' },
  too_many_sockets: { status: 429, fault: 'caller', title: 'Too many WebSockets are open. Close one and try again.' },
  rate_limited: { status: 429, fault: 'caller', title: 'Too many requests. Wait and try again.' },

  token_missing: { status: 401, fault: 'caller', title: 'An access token is required.' },
  token_malformed: refusedToken('The access token is not a well-formed JWT.'),
  token_too_large: refusedToken('The access token is too large.'),
  token_header_refused: refusedToken('The access token has an unsupported header parameter.'),
  token_type_refused: refusedToken('The token is not an access token.'),
  token_algorithm_refused: refusedToken('The access token is signed with an unsupported algorithm.'),
  token_issuer_unknown: refusedToken('The access token was issued by an untrusted issuer.'),
  token_key_unknown: refusedToken('The access token is signed with a key that its issuer does not publish.'),
  token_signature_invalid: refusedToken("The access token's signature is invalid."),
  token_audience_refused: refusedToken('The access token was issued for another audience.'),
  token_client_refused: refusedToken('The access token was issued to another client.'),
  token_machine_refused: refusedToken(
    'The access token was issued to an application without a user, which this API does not accept.',
  ),
  token_actor_invalid: refusedToken('The actor in the access token is malformed.'),
  token_context_too_long: refusedToken("The token's claims exceed 2 KB."),
  token_requirement_unmet: refusedToken('The access token lacks a claim that this API requires.'),
  token_lifetime_refused: refusedToken('The access token is valid for too long.'),
  token_expired: refusedToken('The access token has expired.'),
  token_not_yet_valid: refusedToken('The access token is not valid yet.'),
  token_claims_invalid: refusedToken('A claim of the access token is missing or invalid.'),
  token_tenant_refused: refusedToken("The access token's issuer is not allowed to issue tokens for this tenant."),
  token_role_refused: refusedToken("The access token's issuer is not allowed to assign this role."),
  token_revoked: refusedToken('The access token has been revoked.'),
  token_proof_missing: refusedToken('The access token is bound to a key, so a DPoP proof is required.'),
  token_certificate_missing: refusedToken('The access token is bound to a client certificate, which is required.'),
  token_certificate_mismatch: refusedToken('The access token is bound to another client certificate.'),
  token_certificate_unsupported: refusedToken(
    'The access token is bound to a client certificate, which is not supported here.',
  ),
  token_unbound: refusedToken('This endpoint requires an access token that is bound to a key.'),
  token_key_mismatch: refusedToken('The DPoP proof is not signed with the key that the access token is bound to.'),
  dpop_proof_invalid: refusedProof('The DPoP proof is malformed or its signature is invalid.'),
  dpop_proof_mismatch: refusedProof('The DPoP proof was made for another method, URL or access token.'),
  dpop_proof_expired: refusedProof('The DPoP proof is too old or was created in the future.'),
  dpop_proof_replayed: refusedProof('The DPoP proof has already been used.'),
  dpop_nonce_required: refusedProof('The DPoP proof must contain the nonce from this response.'),
  invalid_dpop_proof: { status: 400, fault: 'caller', title: 'The DPoP proof is invalid for this request.' },
  use_dpop_nonce: {
    status: 400,
    fault: 'caller',
    title: 'The DPoP proof must contain the nonce from this response.',
  },
  role_missing: { status: 403, fault: 'caller', title: 'Your account has no role in this application.' },
  tenant_missing: {
    status: 403,
    fault: 'caller',
    title: 'Your account does not belong to a tenant of this application.',
  },
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  insufficient_scope: { status: 403, fault: 'caller', title: 'The access token lacks a required scope.' },
  client_not_allowed: { status: 403, fault: 'caller', title: 'This client is not allowed to do this.' },
  actor_not_allowed: { status: 403, fault: 'caller', title: 'This actor is not allowed to act for the caller here.' },
  claim_not_allowed: { status: 403, fault: 'caller', title: 'The access token lacks a required claim.' },
  origin_not_allowed: { status: 403, fault: 'caller', title: 'Requests from this origin are not allowed.' },
  tenant_mismatch: { status: 403, fault: 'caller', title: 'This resource belongs to another tenant.' },

  caller_missing: refusedCall("A service's signature is required."),
  caller_unknown: refusedCall('The signing key does not belong to a known service.'),
  caller_signature_refused: refusedCall("The service's signature is invalid for this call."),
  call_expired: refusedCall("The service's signature has expired or was created in the future."),
  call_replayed: refusedCall('This signed call was already used.'),
  txn_token_invalid: refusedCall('The txn-token is invalid.'),
  txn_token_expired: refusedCall('The txn-token has expired.'),
  txn_token_foreign: refusedCall('The txn-token was issued to another service.'),
  caller_not_allowed: { status: 403, fault: 'caller', title: 'This service is not allowed to make this call.' },
  call_too_deep: {
    status: 403,
    fault: 'caller',
    title: 'This request exceeds the limit of four nested service calls.',
  },

  issuer_keys_unavailable: {
    status: 503,
    fault: 'ours',
    title: 'Access tokens cannot be verified right now. Try again shortly.',
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
    title: 'DPoP proofs cannot be checked for replay right now. Try again shortly.',
    retryAfterSec: 2,
  },
  limit_store_unavailable: {
    status: 503,
    fault: 'capacity',
    title: 'Rate limits cannot be checked right now. Try again shortly.',
    retryAfterSec: 2,
  },

  body_memory_full: {
    status: 503,
    fault: 'capacity',
    title: 'The gateway is buffering too many request bodies. Try again shortly.',
    retryAfterSec: 1,
  },
  console_busy: {
    status: 429,
    fault: 'capacity',
    title: 'Too many console requests are waiting. Try again shortly.',
    retryAfterSec: 1,
  },

  identity_refused: { status: 502, fault: 'configuration', title: "The service refused the gateway's signature." },
  upstream_unreachable: { status: 502, fault: 'upstream', title: 'The service cannot be reached.' },
  upstream_untrusted: {
    status: 502,
    fault: 'configuration',
    title: 'The TLS handshake between the gateway and the service failed.',
  },
  upstream_broken: { status: 502, fault: 'upstream', title: 'The service closed the connection before it responded.' },
  upstream_invalid_response: { status: 502, fault: 'upstream', title: 'The service sent an invalid response.' },
  upstream_timeout: { status: 504, fault: 'upstream', title: 'The service did not respond in time.' },
  upstream_circuit_open: {
    status: 503,
    fault: 'upstream',
    title: 'The service is failing, so requests to it are paused. Try again later.',
    retryAfterSec: 1,
  },
  upstream_overloaded: {
    status: 503,
    fault: 'capacity',
    title: 'The service has too many pending requests. Try again shortly.',
    retryAfterSec: 1,
  },
  identity_unavailable: {
    status: 503,
    fault: 'upstream',
    title: "The service cannot verify the gateway's signature right now. Try again shortly.",
    retryAfterSec: 1,
  },
} as const satisfies ErrorTable;

export type Code = keyof typeof errorTable;

export const AppError = KitError<Code>;
export type AppError = KitError<Code>;
