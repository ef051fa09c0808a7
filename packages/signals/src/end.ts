/**
 * The access tokens that an event ends.
 *
 * - `session`: the tokens with this session id, whenever they were issued. With a tenant, only those in it.
 * - `user`, `member`, `tenant`: the tokens issued before `notBeforeMs`. A member is a user in one tenant.
 */
export type End = Readonly<{
  /** The `iss` of the tokens. */
  issuer: string;
  /** Unix milliseconds, a whole second. It is at most the clock tolerance after now. */
  notBeforeMs: number;
  /** The name of the event, such as `session-revoked`. */
  event: string;
}> &
  (
    | Readonly<{ kind: 'session'; sessionId: string; tenantId?: string | undefined }>
    | Readonly<{ kind: 'user'; userId: string }>
    | Readonly<{ kind: 'member'; userId: string; tenantId: string }>
    | Readonly<{ kind: 'tenant'; tenantId: string }>
  );

/** A verified logout token or Security Event Token. It has one event or several. */
export type EventToken = Readonly<{
  /** Unique per issuer. A repeated one changes nothing. */
  jti: string;
  /** `iat`, in Unix milliseconds. */
  issuedAtMs: number;
  ends: readonly End[];
  /** Why events of this token end nothing, such as `an unknown event`. */
  ignored: readonly string[];
  /** Whether an event is more than a day before `iat`: usually the transmitter sends another unit of time. */
  isLate: boolean;
  /** `state` of a verification event (SSF 1.0 section 8.1.4.1). */
  verification: Readonly<{ state: string | undefined }> | undefined;
}>;

const dayMs = 86_400_000;

/**
 * The moment from which tokens count as issued after the event: the next whole second, because `iat` has whole seconds.
 * It is limited to now plus the tolerance. Otherwise an event from the future would end logins that follow it.
 *
 * @param eventMs Undefined if the event has no time of its own.
 */
export function timeOfEnd({
  eventMs,
  issuedAtMs,
  nowMs,
  toleranceMs,
}: Readonly<Record<'issuedAtMs' | 'nowMs' | 'toleranceMs', number> & { eventMs: number | undefined }>): Readonly<{
  notBeforeMs: number;
  isLate: boolean;
}> {
  const nextSecond = (ms: number) => (Math.floor(ms / 1000) + 1) * 1000;
  const atMs = Math.min(eventMs ?? issuedAtMs, nowMs + toleranceMs);
  return { notBeforeMs: nextSecond(atMs), isLate: eventMs !== undefined && eventMs < issuedAtMs - dayMs };
}

/** `webhook`: the provider's own format. `call`: a revoke call. */
export const eventSources = ['backchannel_logout', 'shared_signals', 'webhook', 'call'] as const;
export type EventSource = (typeof eventSources)[number];

/** How the end was learned. */
export type EndOrigin = Readonly<{
  source: EventSource;
  /** The name of the event, such as `session-revoked`. */
  event: string;
  jti: string;
  /** A digest of what a revoke call says, to refuse another call with the same id. */
  content?: string | undefined;
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
  origin: EndOrigin;
}>;
