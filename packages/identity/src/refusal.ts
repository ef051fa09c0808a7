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

/** The service cannot tell, through no fault of the request: no keys yet, or the replay store is gone. 503, not 401. */
export class IdentityUnavailable extends Error {
  override readonly name = 'IdentityUnavailable';
}
