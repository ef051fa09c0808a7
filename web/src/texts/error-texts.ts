import type { Texts } from './en.ts';

/** The codes without a text of their own, by the code whose text fits them. A test compares them with the API. */
const alike: Readonly<Record<string, string>> = {
  token_expired: `token_missing token_revoked token_malformed token_too_large token_header_refused token_type_refused
    token_algorithm_refused token_issuer_unknown token_key_unknown token_signature_invalid token_audience_refused
    token_client_refused token_machine_refused token_actor_invalid token_context_too_long token_requirement_unmet
    token_lifetime_refused token_not_yet_valid token_claims_invalid token_tenant_refused token_role_refused token_inactive
    token_proof_missing token_certificate_missing token_certificate_mismatch token_certificate_unsupported token_unbound
    token_key_mismatch dpop_proof_invalid dpop_proof_mismatch dpop_proof_expired dpop_proof_replayed dpop_nonce_required
    invalid_refresh_token refresh_token_reused two_refresh_tokens session_expired session_revoked`,
  insufficient_role: `insufficient_scope role_missing tenant_missing client_not_allowed actor_not_allowed
    claim_not_allowed origin_not_allowed identity_form_unsupported tenant_mismatch cross_site_refused no_decision`,
  rate_limited: 'too_many_sockets',
  invalid_request: `invalid_target invalid_host body_not_allowed upgrade_not_allowed no_route uri_too_long
    method_not_allowed expectation_failed misdirected_request websocket_version_refused headers_too_large`,
  unavailable: `request_timeout people_unavailable issuer_keys_unavailable introspection_unavailable
    revocations_unavailable dpop_replay_unavailable limit_store_unavailable identity_unavailable proxy_untrusted
    body_memory_full identity_refused upstream_unreachable upstream_untrusted upstream_broken upstream_invalid_response
    upstream_timeout upstream_circuit_open upstream_overloaded`,
};

const likeOf: ReadonlyMap<string, string> = new Map(
  Object.entries(alike).flatMap(([like, codes]) => codes.split(/\s+/).map((code) => [code, like] as const)),
);

/** @returns undefined if no text fits the code. */
export const knownErrorText = ({ errors }: Texts, code: string): string | undefined =>
  errors[code] ?? errors[likeOf.get(code) ?? ''];

/** Returns the sentence for an error code. Never shows the code. */
export const errorText = (texts: Texts, code: string): string =>
  knownErrorText(texts, code) ?? (texts.errors.unknown as string);
