import type { Issuer } from '../../config/config.ts';
import { claimOf, type Payload } from '../claim-mapping/claim-path.ts';
import { isMet } from '../claim-mapping/conditions.ts';
import { issuerFinding } from '../claim-mapping/examine-header.ts';
import { described, type Finding, finding, oneOfThese } from '../claim-mapping/finding.ts';
import { compileClaims } from '../claim-mapping/read-claims.ts';
import type { Claims } from '../claims.ts';

/** An opaque token has no header, so only its members say what it is. */
const noHeader = {};

/**
 * Compiles the reader of an issuer's introspection answers. Their members are claims, under the rules for JWTs, with
 * three differences: `jti`, `sid` and `iat` may be absent. Without `iat`, the token counts as issued at 0, so that
 * every revocation of its user refuses it.
 *
 * @see RFC 7662 section 2.2
 */
export function compileAnswers(issuer: Issuer) {
  const readClaims = compileClaims({ ...issuer, isStrict: false, revocations: undefined, events: undefined });
  return (answer: Payload, nowMs: number): Readonly<{ claims: Claims; findings: readonly Finding[] }> => {
    const iss = claimOf(answer, 'iss');
    const [iat, isDated] = [Math.floor(nowMs / 1000), Object.hasOwn(answer, 'iat')];
    const payload = { iat, ...answer, ...subjectOf(answer, issuer), iss: issuer.issuer };
    const { claims, findings } = readClaims(noHeader, payload, nowMs);
    const isActive = claimOf(answer, 'active') === true;
    const own = [
      ...(isActive ? [] : [inactive(answer)]),
      ...(iss === undefined || iss === issuer.issuer ? [] : [issuerFinding(iss, [{ config: issuer }])]),
      ...typeFindings(answer),
    ];
    return {
      claims: isDated ? claims : { ...claims, issuedAtSec: 0 },
      // The answer about an inactive token has no other members.
      findings: isActive ? [...own, ...findings] : own.slice(0, 1),
    };
  };
}

function inactive(answer: Payload): Finding {
  const fix = 'get a new token: the issuer does not know this one, or it has expired or was revoked';
  return finding('token_inactive', 'active', 'true', described(claimOf(answer, 'active')), fix);
}

/** Some providers name no subject for a machine's token. It is one only if `machines.when` recognizes it. */
function subjectOf(answer: Payload, { machines, claims }: Issuer): Payload {
  if (Object.hasOwn(answer, 'sub') || !isMet(machines.when, answer)) return {};
  const name = claims.client.find((one) => Object.hasOwn(answer, one));
  return name === undefined ? {} : { sub: answer[name] };
}

/** What providers call an access token, in lower case. */
const accessTypes: Readonly<Record<string, readonly unknown[]>> = {
  token_type: ['bearer', 'dpop', 'access_token'],
  typ: ['bearer', 'dpop', 'at+jwt'],
  token_use: ['access', 'access_token'],
};

/**
 * A refresh token is active too, so an answer must say by value that the token is an access token: in `token_type`
 * (RFC 7662), `typ` (Keycloak) or `token_use` (Ory Hydra). Every one that is present must say so.
 */
function typeFindings(answer: Payload): readonly Finding[] {
  const lower = (name: string) => {
    const value = claimOf(answer, name);
    return typeof value === 'string' ? value.toLowerCase() : value;
  };
  const named = Object.keys(accessTypes).filter((name) => Object.hasOwn(answer, name));
  const wrong = named.length === 0 ? 'token_type' : named.find((name) => !accessTypes[name]?.includes(lower(name)));
  if (wrong !== undefined) {
    const fix =
      'send the access token; its issuer must say in the answer that it is one, because refresh tokens are active too';
    const wanted = oneOfThese(accessTypes[wrong] ?? []);
    return [finding('token_type_refused', wrong, wanted, described(claimOf(answer, wrong)), fix)];
  }
  // Without its key, a stolen token could be used as a bearer token.
  if (named.some((name) => lower(name) === 'dpop') && !Object.hasOwn(answer, 'cnf')) {
    return [finding('token_claims_invalid', 'cnf', 'jkt (RFC 9449)', 'nothing', 'the issuer must name the key')];
  }
  return [];
}
