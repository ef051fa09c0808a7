import { hash } from 'node:crypto';
import { keyAlgorithmOf, parseStrictObject } from '@countersign/jwks';
import { type Issuer, toleranceMs } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { verifySignature } from '../../keys/verify-signature.ts';
import { claimOf, isMet, type Payload, textsOf } from '../claim-mapping/claim-path.ts';
import { headerFindings, issuerFinding } from '../claim-mapping/examine-header.ts';
import { described, type Finding, finding, oneOfThese } from '../claim-mapping/finding.ts';
import { compileClaims } from '../claim-mapping/read-claims.ts';
import type { Claims } from '../claims.ts';
import { maxTokenLength, parseJwt } from '../parse-jwt.ts';
import { type Asker, type OpaqueTokens, operator, type TrustedIssuer, type VerifiedToken } from '../verified-tokens.ts';
import { refuseFirst } from '../verify-access-token.ts';

/** Three parts in the alphabet of base64url are a JWT, even if one is empty. It is verified, never introspected. */
const jwtShape = /^[\w-]*\.[\w-]*\.[\w-]*$/;
export const isOpaque = (token: string): boolean => !jwtShape.test(token);

/** Revocations may arrive during a request to the endpoint, so that its answer may be older than they are. */
const maxAttempts = 3;

/** Undefined if no issuer introspects. The configuration allows at most one. */
export function createOpaqueTokens(
  issuers: Iterable<TrustedIssuer>,
  nowMs: () => number,
  monotonicMs: () => number = () => performance.now(),
): OpaqueTokens | undefined {
  const issuer = [...issuers].find(({ introspection }) => introspection !== undefined);
  const settings = issuer?.config.introspection;
  if (issuer === undefined || settings === undefined) return undefined;
  const { config, revocations } = issuer;
  const examine = compileAnswers(config);

  /** Decides about an answer, and for how long it may be used: `cacheFor`, but not beyond `exp`. */
  function accept({ members, kid }: Answer, startedMs: number, version: number | undefined): VerifiedToken {
    const now = nowMs();
    const { claims, findings } = examine(members, now);
    refuseFirst(findings, config.issuer, claimOf(members, 'sub'));
    const keptMs = Math.min(settings?.cacheForMs ?? 0, claims.expiresAtSec * 1000 - now);
    const isFresh = () => monotonicMs() < startedMs + keptMs && revocations?.version === version;
    return { claims, kid, issuer: issuer as TrustedIssuer, generation: 0, prepared: new Map(), isFresh };
  }

  return {
    // With the issuer and the endpoint, so that the answer of one server is never used for another
    // (GHSA-4mq7-pvjg-xp2r). Hashed, so that the cache holds no token.
    keyOf: (text) =>
      isOpaque(text) ? hash('sha256', JSON.stringify([config.issuer, settings.url, text]), 'base64url') : undefined,
    async verify(text, asker) {
      if (text.length > maxTokenLength) throw new AppError('token_too_large');
      for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
        const version = revocations?.version;
        const sessions = issuer.events?.endedSessions;
        const startedMs = monotonicMs();
        const answer = await introspect(issuer, text, nowMs, asker);
        const token = accept(answer, startedMs, version);
        // The issuer may have answered before it ended the session, so ask again. While many revocations arrive, use
        // the last answer once, if it names all that they ended: the caller compares them.
        const isNamed =
          token.claims.sessionId !== undefined || (sessions !== undefined && sessions === issuer.events?.endedSessions);
        if (revocations?.version === version || (attempt === maxAttempts && isNamed)) return token;
      }
      throw new AppError('introspection_unavailable', {
        detail: { issuer: config.issuer, reason: 'revocations arrived during each request' },
      });
    },
  };
}

/**
 * Asks the issuer about one token.
 *
 * @throws AppError `introspection_unavailable`.
 */
export async function introspect(
  issuer: TrustedIssuer,
  token: string,
  nowMs: () => number,
  asker: Asker = operator,
): Promise<Answer> {
  const { introspection: endpoint, config } = issuer;
  const { introspection: settings } = config;
  if (endpoint === undefined || settings === undefined) throw new Error(`${config.issuer} does not introspect`);
  const askedAtMs = nowMs();
  return endpoint.ask(token, asker, async (body) => {
    const answer = settings.signed
      ? await readSignedAnswer(body.toString('latin1'), issuer, settings.clientId, { askedAtMs, nowMs: nowMs() })
      : { members: parseStrictObject(body), kid: '' };
    // An error page with status 200 must not log anyone out.
    if (typeof claimOf(answer.members, 'active') !== 'boolean') throw new Error('"active" is not a boolean');
    return answer;
  });
}

export const introspectingIssuer = (issuers: readonly Issuer[]): Issuer | undefined =>
  issuers.find(({ introspection }) => introspection !== undefined);

/** What an issuer says about a token. `kid` is the key that signed it, and empty if none did. */
type Answer = Readonly<{ members: Payload; kid: string }>;

const types: readonly unknown[] = ['token-introspection+jwt', 'application/token-introspection+jwt'];

/**
 * Verifies a signed answer (RFC 9701 section 5). It must be for this gateway's client and made after the question, so
 * that neither an answer to another service nor an older one can be replayed.
 *
 * @throws Error with the reason. The token is not at fault.
 */
async function readSignedAnswer(
  text: string,
  { config, keys }: TrustedIssuer,
  clientId: string,
  { askedAtMs, nowMs }: Readonly<{ askedAtMs: number; nowMs: number }>,
): Promise<Answer> {
  const { header, payload } = parseJwt(text, Number.POSITIVE_INFINITY);
  const [finding] = headerFindings(header);
  if (finding !== undefined) throw new Error(`the signed answer has a wrong ${finding.claim}`);
  const [alg, kid] = [String(header.alg), String(header.kid)];
  require(types.includes(header.typ), 'typ');
  require((config.algorithms as readonly string[]).includes(keyAlgorithmOf(alg)), 'alg');
  await verifySignature(text, { alg, kid }, keys, config.issuer);
  require(claimOf(payload, 'iss') === config.issuer, 'iss');
  require(textsOf(claimOf(payload, 'aud'), ['aud'])?.includes(clientId) === true, 'aud');
  const iat = claimOf(payload, 'iat');
  const madeMs = typeof iat === 'number' ? iat * 1000 : Number.NaN;
  // `iat` has whole seconds.
  require(madeMs + 1000 > askedAtMs - toleranceMs && madeMs <= nowMs + toleranceMs, 'iat');
  const members = claimOf(payload, 'token_introspection');
  require(typeof members === 'object' && members !== null && !Array.isArray(members), 'token_introspection');
  return { members: members as Payload, kid };
}

function require(holds: boolean, what: string): void {
  if (!holds) throw new Error(`the signed answer has a wrong ${what}`);
}

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

/** Some providers name no subject in an OAuth client's token. It is one only if `machines.when` recognizes it. */
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
