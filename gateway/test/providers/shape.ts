type Json = Readonly<Record<string, unknown>>;

/** A change to a valid token that makes the gateway refuse it. `undefined` removes a member. */
export type Wrong = Readonly<{ title: string; header?: Json; claims?: Json; code: string }>;

/** A provider's token in the shape that its documentation shows, with our own values. */
export type Shape = Readonly<{
  name: string;
  /** The documentation that describes the header and the claims. */
  source: string;
  /** The entry under `issuers`, without `jwks`. */
  yaml: string;
  algorithm: 'RS256' | 'ES256';
  header: Json;
  /** `iat`, `nbf`, `exp` and `auth_time` are filled in where the claims have them as 0: now, and an hour later. */
  claims: Json;
  gives: Readonly<{ userId: string; role: string; tenantId: string; sessionId?: string }>;
  wrong: readonly Wrong[];
}>;

/** Fills in the times, relative to now. */
export function timed(claims: Json, nowSec: number): Record<string, unknown> {
  const offsets: Readonly<Record<string, number>> = { iat: -10, nbf: -10, auth_time: -60, exp: 3_590 };
  return Object.fromEntries(
    Object.entries(claims)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, value === 0 && name in offsets ? nowSec + (offsets[name] ?? 0) : value]),
  );
}
