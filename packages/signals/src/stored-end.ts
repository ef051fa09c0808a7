/** How the end was learned. */
export type EventOrigin = Readonly<{
  source: 'backchannel_logout' | 'shared_signals';
  /** The name of the event, such as `session-revoked`. */
  event: string;
  jti: string;
  /** When it arrived, in Unix milliseconds. */
  atMs: number;
}>;

/** An end, as it is kept until every token that it could end has expired. */
export type StoredEnd = Readonly<{
  issuer: string;
  /** Such as `session` or `user`, and the id of that in `name`. */
  kind: string;
  name: string;
  /** The tenant that the event named. Its quota counts the entry. */
  tenantId?: string | undefined;
  /** Unix milliseconds. */
  notBeforeMs: number;
  expiresAtMs: number;
  origin: EventOrigin;
}>;
