import type { KeySet } from '@countersign/jwks';
import { type End, type EventToken, timeOfEnd } from './end.ts';
import {
  checkAudience,
  EventTokenError,
  isObject,
  isText,
  isTime,
  parseToken,
  readIdAndTime,
  verifySignature,
} from './signed-token.ts';

export type LogoutTokenOptions = Readonly<{
  /** The key set of each issuer, by `iss`. A key of one issuer never verifies a token of another. */
  issuers: ReadonlyMap<string, Pick<KeySet, 'find' | 'lookup'>>;
  /** The values of which `aud` must contain one: your client ids. */
  audience: readonly string[];
  /** JOSE names of the algorithms that the issuer may use. */
  algorithms: readonly string[];
  /** The accepted values of `typ`. Default: `logout+jwt`. */
  types?: readonly string[] | undefined;
  /** Whether access tokens name their session. If not, a logout ends all older tokens of the user. Default: true. */
  sessions?: boolean | undefined;
  nowMs: number;
  /** How far the clocks may differ. Default: 5 s. */
  toleranceMs?: number;
}>;

const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout';

/**
 * Verifies a logout token. Everything that needs no key is checked first.
 *
 * @throws EventTokenError if it is not a valid logout token, or names nothing that could end. KeySetUnavailable: try
 *   later.
 * @see OpenID Connect Back-Channel Logout 1.0 section 2.6
 */
export async function verifyLogoutToken(text: string, options: LogoutTokenOptions): Promise<EventToken> {
  const {
    issuers,
    audience,
    algorithms,
    types = ['logout+jwt'],
    sessions = true,
    nowMs,
    toleranceMs = 5_000,
  } = options;
  const token = parseToken(text, types);
  const { iss, exp, events, sub, sid } = token.payload;
  const keys = typeof iss === 'string' ? issuers.get(iss) : undefined;
  if (keys === undefined || typeof iss !== 'string')
    throw new EventTokenError('invalid_issuer', 'iss is another issuer');
  checkAudience(token.payload, audience);
  const { jti, issuedAtMs } = readIdAndTime(token.payload);
  if (issuedAtMs > nowMs + toleranceMs) throw invalid('iat is in the future');
  if (!isTime(exp)) throw invalid('exp is missing');
  if (nowMs >= exp * 1000 + toleranceMs) throw invalid('the token has expired');
  if (!isObject(events) || !isObject(events[logoutEvent])) throw invalid('events has no logout');
  // An ID token may have a nonce, a logout token must not.
  if (token.payload.nonce !== undefined) throw invalid('the token has a nonce');
  if ((sub !== undefined && !isText(sub)) || (sid !== undefined && !isText(sid))) throw invalid('sub or sid');
  const { notBeforeMs } = timeOfEnd({ eventMs: undefined, issuedAtMs, nowMs, toleranceMs });
  const common = { issuer: iss, notBeforeMs, event: 'logout' };
  const end = endOf(sessions ? sid : undefined, sub);
  await verifySignature(token, keys, algorithms);
  return { jti, issuedAtMs, ends: [{ ...common, ...end }], ignored: [], isLate: false, verification: undefined };
}

/** The members of an {@link End} that name its subject. */
type Named =
  | Pick<Extract<End, { kind: 'session' }>, 'kind' | 'sessionId'>
  | Pick<Extract<End, { kind: 'user' }>, 'kind' | 'userId'>;

function endOf(sid: string | undefined, sub: string | undefined): Named {
  if (sid !== undefined) return { kind: 'session', sessionId: sid };
  if (sub !== undefined) return { kind: 'user', userId: sub };
  throw invalid('neither sub nor sid names what ends');
}

const invalid = (message: string) => new EventTokenError('invalid_request', message);
