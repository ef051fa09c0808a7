/** Why a request was refused. These values are stable: services log and count them, and vectors.json uses them. */
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

/** The request carries no valid identity. The service answers 401 with `x-identity-refused: reason`. */
export class IdentityRefused extends Error {
  override readonly name = 'IdentityRefused';
  readonly reason: RefusalReason;
  /** The name of the header that caused the refusal, if any. Never its value. */
  readonly header: string | undefined;

  constructor(reason: RefusalReason, header?: string) {
    super(header === undefined ? reason : `${reason}: ${header}`);
    this.reason = reason;
    this.header = header;
  }
}

/** Why a service cannot check an identity. Sources and stores without a reason of their own use `unavailable`. */
export const unavailableReasons = ['keys_unavailable', 'replay_unavailable', 'unavailable'] as const;

export type UnavailableReason = (typeof unavailableReasons)[number];

/**
 * The service cannot check the identity at the moment: it has no keys yet, or the replay store is unreachable. The
 * service answers 503 with `x-identity-unavailable: reason`. The gateway logs that header and does not forward it.
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
