import type { GatewayConfig, Issuer, Scalar } from '../config/config.ts';
import { type Payload, readPath } from '../tokens/claim-mapping/claim-path.ts';
import { issuerFinding } from '../tokens/claim-mapping/examine-header.ts';
import { compileClaims } from '../tokens/claim-mapping/read-claims.ts';
import { type AcceptedToken, issuerOf } from './callers.ts';
import type { ExplainedRefusal } from './dry-run.ts';

/** A token that its issuer's settings accept, or why they refuse it. */
export type AssumedClaims =
  | Readonly<{ token: AcceptedToken }>
  | Readonly<{ token?: undefined; refusedToken: ExplainedRefusal }>;

/**
 * Reads the claims of a token as the gateway would, without a signature. The claims that are not given, and that say
 * only whether a token is valid, are filled in: `iss` is the first issuer, and `require` is met.
 */
export function assumeClaims(
  given: Payload,
  { issuers }: Pick<GatewayConfig, 'issuers'>,
  nowMs: number,
): AssumedClaims {
  const iss = given.iss ?? issuers[0]?.issuer;
  const issuer = typeof iss === 'string' ? issuerOf(issuers, iss) : undefined;
  const known = issuers.map((config) => ({ config }));
  if (issuer === undefined) return { refusedToken: refusalOf(issuerFinding(iss, known)) };
  const payload = filledIn({ ...given, iss }, issuer, Math.floor(nowMs / 1000));
  const { claims, findings } = compileClaims(issuer)({ typ: 'at+jwt' }, payload, nowMs);
  const [first] = findings;
  return first === undefined ? { token: { claims, issuer } } : { refusedToken: refusalOf(first) };
}

const refusalOf = ({ code, claim, wanted, found }: ReturnType<typeof issuerFinding>): ExplainedRefusal => ({
  code,
  why: `${claim}: expected ${wanted}, found ${found}`,
});

function filledIn(given: Payload, issuer: Issuer, nowSec: number): Payload {
  const { audience, claims, require: required } = issuer;
  const usual = { sub: 'example-user', aud: audience[0], jti: 'JTI', iat: nowSec, exp: nowSec + 60 };
  const demanded = (required[0] ?? []).flatMap(({ claim, expected }): [string, Scalar][] => {
    if (expected.is === 'absent') return [];
    return [
      [claim, 'values' in expected ? (expected.values[0] ?? '') : 'text' in expected ? expected.text : 'present'],
    ];
  });
  const payload: Record<string, unknown> = { ...usual, ...Object.fromEntries(demanded), ...given };
  for (const [path, value] of [
    [claims.userId, payload.sub],
    [claims.sessionId, 'SESSION'],
  ] as const) {
    if (readPath(payload, path) === 'absent') setClaim(payload, path, value);
  }
  return payload;
}

/** Sets a claim, which may be inside another. */
export function setClaim(payload: Record<string, unknown>, [name = '', ...inner]: readonly string[], value: unknown) {
  const parent = Object.hasOwn(payload, name) ? payload[name] : undefined;
  if (inner.length === 0) payload[name] = value;
  else {
    const copy = { ...(parent as object) };
    setClaim(copy, inner, value);
    payload[name] = copy;
  }
}
