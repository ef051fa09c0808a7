import {
  caller,
  capacity,
  commonErrors,
  type ErrorTable,
  entry,
  AppError as KitError,
  ours,
} from '@countersign/service-kit';

const upstream = entry('upstream');
const configuration = entry('configuration');

/** Every error code of the gateway. A test compares them with `docs/errors.md`. */
export const errorTable = {
  ...commonErrors,

  invalid_target: caller(400, 'The request URL is not in canonical form.'),
  invalid_host: caller(400, 'The Host header is missing, repeated or malformed.'),
  body_not_allowed: caller(400, 'This endpoint does not accept a request body.'),
  upgrade_not_allowed: caller(400, 'This endpoint does not accept this upgrade.'),
  no_route: caller(404, 'No route matches this path.'),
  uri_too_long: caller(414, 'The request URL is too long.'),
  decision_call_invalid: configuration(400, 'The proxy did not describe the request as its dialect demands.'),
  expectation_failed: caller(417, 'The Expect header has an unsupported value.'),
  misdirected_request: caller(421, 'This gateway does not serve this host.'),
  websocket_version_refused: caller(426, 'Only WebSocket version 13 is supported.'),
  too_many_sockets: caller(429, 'Too many WebSockets are open. Close one and try again.'),
  rate_limited: caller(429, 'Too many requests. Wait and try again.'),

  token_missing: caller(401, 'An access token is required.'),
  token_malformed: caller(401, 'The access token is not a well-formed JWT.'),
  token_too_large: caller(401, 'The access token is too large.'),
  token_header_refused: caller(401, 'The access token has an unsupported header parameter.'),
  token_type_refused: caller(401, 'The token is not an access token.'),
  token_algorithm_refused: caller(401, 'The access token is signed with an unsupported algorithm.'),
  token_issuer_unknown: caller(401, 'The access token was issued by an untrusted issuer.'),
  token_key_unknown: caller(401, 'The access token is signed with a key that its issuer does not publish.'),
  token_signature_invalid: caller(401, "The access token's signature is invalid."),
  token_audience_refused: caller(401, 'The access token was issued for another audience.'),
  token_client_refused: caller(401, 'The access token was issued to another client.'),
  token_machine_refused: caller(
    401,
    'The access token was issued to an application without a user, which this API does not accept.',
  ),
  token_actor_invalid: caller(401, 'The actor in the access token is malformed.'),
  token_context_too_long: caller(401, "The token's claims exceed 2 KB."),
  token_requirement_unmet: caller(401, 'The access token lacks a claim that this API requires.'),
  token_lifetime_refused: caller(401, 'The access token is valid for too long.'),
  token_expired: caller(401, 'The access token has expired.'),
  token_not_yet_valid: caller(401, 'The access token is not valid yet.'),
  token_claims_invalid: caller(401, 'A claim of the access token is missing or invalid.'),
  token_tenant_refused: caller(401, "The access token's issuer is not allowed to issue tokens for this tenant."),
  token_role_refused: caller(401, "The access token's issuer is not allowed to assign this role."),
  token_revoked: caller(401, 'The access token has been revoked.'),
  token_proof_missing: caller(401, 'The access token is bound to a key, so a DPoP proof is required.'),
  token_certificate_missing: caller(401, 'The access token is bound to a client certificate, which is required.'),
  token_certificate_mismatch: caller(401, 'The access token is bound to another client certificate.'),
  token_certificate_unsupported: caller(
    401,
    'The access token is bound to a client certificate, which is not supported here.',
  ),
  token_unbound: caller(401, 'This endpoint requires an access token that is bound to a key.'),
  token_key_mismatch: caller(401, 'The DPoP proof is not signed with the key that the access token is bound to.'),
  dpop_proof_invalid: caller(401, 'The DPoP proof is malformed or its signature is invalid.'),
  dpop_proof_mismatch: caller(401, 'The DPoP proof was made for another method, URL or access token.'),
  dpop_proof_expired: caller(401, 'The DPoP proof is too old or was created in the future.'),
  dpop_proof_replayed: caller(401, 'The DPoP proof has already been used.'),
  dpop_nonce_required: caller(401, 'The DPoP proof must contain the nonce from this response.'),
  invalid_dpop_proof: caller(400, 'The DPoP proof is invalid for this request.'),
  use_dpop_nonce: caller(400, 'The DPoP proof must contain the nonce from this response.'),
  role_missing: caller(403, 'Your account has no role in this application.'),
  tenant_missing: caller(403, 'Your account does not belong to a tenant of this application.'),
  insufficient_role: caller(403, 'Your role does not allow this.'),
  insufficient_scope: caller(403, 'The access token lacks a required scope.'),
  client_not_allowed: caller(403, 'This client is not allowed to do this.'),
  actor_not_allowed: caller(403, 'This actor is not allowed to act for the caller here.'),
  claim_not_allowed: caller(403, 'The access token lacks a required claim.'),
  no_decision: caller(403, 'This request cannot be decided for another proxy.'),
  origin_not_allowed: caller(403, 'Requests from this origin are not allowed.'),
  tenant_mismatch: caller(403, 'This resource belongs to another tenant.'),

  caller_missing: caller(401, "A service's signature is required."),
  caller_unknown: caller(401, 'The signing key does not belong to a known service.'),
  caller_signature_refused: caller(401, "The service's signature is invalid for this call."),
  call_expired: caller(401, "The service's signature has expired or was created in the future."),
  call_replayed: caller(401, 'This signed call was already used.'),
  txn_token_invalid: caller(401, 'The txn-token is invalid.'),
  txn_token_expired: caller(401, 'The txn-token has expired.'),
  txn_token_foreign: caller(401, 'The txn-token was issued to another service.'),
  caller_not_allowed: caller(403, 'This service is not allowed to make this call.'),
  call_too_deep: caller(403, 'This request exceeds the limit of four nested service calls.'),

  issuer_keys_unavailable: ours(503, 'Access tokens cannot be verified right now. Try again shortly.', 2),
  revocations_unavailable: ours(503, 'Revocations cannot be checked right now. Try again shortly.', 2),
  dpop_replay_unavailable: ours(503, 'DPoP proofs cannot be checked for replay right now. Try again shortly.', 2),
  limit_store_unavailable: capacity(503, 'Rate limits cannot be checked right now. Try again shortly.', 2),

  proxy_untrusted: configuration(503, 'The proxy did not prove its identity to the gateway.'),

  body_memory_full: capacity(503, 'The gateway is buffering too many request bodies. Try again shortly.', 1),
  console_busy: capacity(429, 'Too many console requests are waiting. Try again shortly.', 1),

  identity_refused: configuration(502, "The service refused the gateway's signature."),
  upstream_unreachable: upstream(502, 'The service cannot be reached.'),
  upstream_untrusted: configuration(502, 'The TLS handshake between the gateway and the service failed.'),
  upstream_broken: upstream(502, 'The service closed the connection before it responded.'),
  upstream_invalid_response: upstream(502, 'The service sent an invalid response.'),
  upstream_timeout: upstream(504, 'The service did not respond in time.'),
  upstream_circuit_open: upstream(503, 'The service is failing, so requests to it are paused. Try again later.', 1),
  upstream_overloaded: capacity(503, 'The service has too many pending requests. Try again shortly.', 1),
  identity_unavailable: upstream(
    503,
    "The service cannot verify the gateway's signature right now. Try again shortly.",
    1,
  ),
} as const satisfies ErrorTable;

export type Code = keyof typeof errorTable;

export const AppError = KitError<Code>;
export type AppError = KitError<Code>;
