/** Why a request was refused. Stable: services log and count these, and vectors.json names them. */
export const refusalReasons = [
  'target_malformed',
  'header_duplicated',
  'header_alias',
  'header_missing',
  'header_malformed',
  'signature_missing',
  'signature_malformed',
  'tag_mismatch',
  'coverage_insufficient',
  'audience_mismatch',
  'lifetime_invalid',
  'created_in_future',
  'expired',
  'content_digest_missing',
  'key_unknown',
  'algorithm_mismatch',
  'signature_invalid',
  'content_digest_mismatch',
  'created_before_start',
  'replayed',
] as const;

export type RefusalReason = (typeof refusalReasons)[number];

/** The request does not prove who sent it. A service answers 401 with `x-identity-refused: reason`. */
export class IdentityRefused extends Error {
  override readonly name = 'IdentityRefused';
  readonly reason: RefusalReason;
  /** Which header, where that helps; never its value. */
  readonly header: string | undefined;

  constructor(reason: RefusalReason, header?: string) {
    super(header === undefined ? reason : `${reason}: ${header}`);
    this.reason = reason;
    this.header = header;
  }
}

/** Why a service cannot tell. Stable, as the reasons of a refusal are. `unavailable`: a key source or a store of others, which does not say. */
export const unavailableReasons = ['keys_unavailable', 'replay_unavailable', 'unavailable'] as const;

export type UnavailableReason = (typeof unavailableReasons)[number];

/**
 * The service cannot tell, through no fault of the request: no keys yet, or the replay store is gone. 503, not 401, with
 * `x-identity-unavailable: reason`, which the gateway logs and does not pass on.
 */
export class IdentityUnavailable extends Error {
  override readonly name = 'IdentityUnavailable';
  readonly reason: UnavailableReason;

  constructor(
    message: string,
    { reason = 'unavailable', ...options }: ErrorOptions & { reason?: UnavailableReason } = {},
  ) {
    super(message, options);
    this.reason = reason;
  }
}
