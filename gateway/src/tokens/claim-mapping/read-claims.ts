import { ContextTooLong, isUnixSeconds, prepareIdentity } from '@countersign/identity';
import { type Issuer, toleranceMs } from '../../config/config.ts';
import { standardClientClaims } from '../../config/presets.ts';
import { errorTable } from '../../errors.ts';
import { type Claims, contextOf } from '../claims.ts';
import { claimOf, isMet, type Payload, textsOf, unmet } from './claim-path.ts';
import { ClaimReader, compileSources } from './claim-reader.ts';
import { payloadType } from './examine-header.ts';
import { described, type Finding, finding, oneOfThese } from './finding.ts';

const maxNames = 64;

/**
 * Compiles the reader for an issuer's claims, once per configuration. The reader finds everything that is wrong with a
 * token's claims, in the order in which the token would be refused, and never repairs a value. It takes the header too,
 * because `typ` says whether the claims must show that this is an access token.
 *
 * @see RFC 9068 section 4, RFC 7519 section 4.1
 */
export function compileClaims(issuer: Issuer) {
  const sources = compileSources(issuer);
  return (header: Payload, payload: Payload, nowMs: number) => {
    const invalid: Finding[] = [];
    /** Only an otherwise valid token gets 403, because the caller must first replace an expired one. */
    const forbidden: Finding[] = [];
    const report = (found: Finding | undefined) => {
      if (found !== undefined) (errorTable[found.code].status === 403 ? forbidden : invalid).push(found);
    };
    const client = clientOf(payload, issuer);
    report(payloadType(header, payload, issuer));
    report(audienceFinding(payload, issuer, client));
    report(client.finding);
    const clientToken = checkClientToken(payload, issuer, client);
    report(clientToken.finding);
    report(requirementFinding(payload, issuer));
    const kind = clientToken.isClient ? 'client' : 'user';
    const claims = new ClaimReader(payload, issuer, sources, report).read(kind, client.id);
    report(allowedFinding('tenants', claims.tenantId, issuer));
    report(allowedFinding('roles', claims.role, issuer));
    report(lifetimeFinding(claims, issuer));
    report(expiryFinding(claims, nowMs));
    report(startFinding(payload, claims, nowMs));
    if (invalid.length === 0) report(contextFinding(claims));
    /** `claims` is complete only if there are no findings. */
    return { claims, findings: [...invalid, ...forbidden] };
  };
}

function requirementFinding(payload: Payload, { require: required }: Issuer): Finding | undefined {
  const lacking = unmet(required, payload);
  const fix = 'change require, or the claim at the provider';
  return lacking && finding('token_requirement_unmet', lacking.claim, lacking.wanted, lacking.found, fix);
}

type TokenClient = Readonly<{ id: string | undefined; finding: Finding | undefined }>;

/** Checks `aud`. A list of OAuth clients replaces `aud` only for providers whose tokens have none. */
function audienceFinding(payload: Payload, issuer: Issuer, { id }: TokenClient): Finding | undefined {
  const { audience, mayLackAudience, clients } = issuer;
  const aud = claimOf(payload, 'aud');
  if (!Object.hasOwn(payload, 'aud') && mayLackAudience && clients !== undefined) return undefined;
  const refused = (wanted: string, fix: string) =>
    finding('token_audience_refused', 'aud', wanted, described(aud), fix);
  const named = textsOf(aud, ['aud']) ?? [];
  if (!named.some((one) => audience.includes(one))) {
    const wanted = audience.length === 0 ? 'nothing: the configuration has no audience' : oneOfThese(audience);
    const fix = 'ask the provider for a token for this API, or add the value to audience if it means only this API';
    return refused(wanted, fix);
  }
  // If an ID token has several audiences, `azp` says which OAuth client it was issued to (OpenID Connect Core
  // 3.1.3.7).
  if (issuer.types.includes('id-token') && named.length > 1 && clients === undefined && !audience.includes(id ?? '')) {
    return refused(`one value, or azp ${oneOfThese(audience)}`, 'list the OAuth client in clients or in audience');
  }
  return undefined;
}

/**
 * Reads the OAuth client. If two claims differ, the token is refused, because choosing one would be a guess. This also
 * applies to `client_id` and `azp` if neither is configured as the client claim.
 */
function clientOf(payload: Payload, { claims, clients }: Issuer): TokenClient {
  const refused = (claim: string, wanted: string, found: unknown, fix: string): TokenClient => ({
    id: undefined,
    finding: finding('token_client_refused', claim, wanted, described(found), fix),
  });
  for (const names of [claims.client, standardClientClaims]) {
    const given = names.filter((name) => Object.hasOwn(payload, name));
    for (const name of given) {
      const one = payload[name];
      if (typeof one !== 'string' || one === '')
        return refused(name, 'a text', one, 'the provider must send one client id');
      const [first = name] = given;
      if (one === payload[first]) continue;
      const wanted = `the value of ${first}: ${described(payload[first])}`;
      return refused(name, wanted, one, 'the provider must send the same client id in both');
    }
  }
  const [name] = claims.client.filter((one) => Object.hasOwn(payload, one));
  const id = name === undefined ? undefined : String(payload[name]);
  if (clients === undefined || (id !== undefined && clients.includes(id))) return { id, finding: undefined };
  const fix = 'use one of these OAuth clients, or add this one to clients';
  return refused(name ?? claims.client.join(' or '), oneOfThese(clients), id, fix);
}

/** Whether a token belongs to an OAuth client, which never counts as a user, and the finding if none is accepted. */
function checkClientToken(payload: Payload, { machines, claims }: Issuer, client: TokenClient) {
  const sub = claimOf(payload, 'sub');
  const names = [...claims.client, ...standardClientClaims];
  const isItsClient =
    typeof sub === 'string' && (sub === client.id || names.some((name) => claimOf(payload, name) === sub));
  const isClient = isItsClient || isMet(machines.when, payload);
  if (!isClient || machines.isAccepted) return { isClient, finding: undefined };
  const [claim, found] = isItsClient ? ['sub', 'the OAuth client itself'] : ['machines', "an OAuth client's token"];
  const fix = 'log in as a user, or set machines for this issuer and allow.clients on the route';
  return { isClient, finding: finding('token_machine_refused', claim, "a user's token", found, fix) };
}

const allowedCodes = { tenants: 'token_tenant_refused', roles: 'token_role_refused' } as const;

function allowedFinding(key: 'tenants' | 'roles', value: string | undefined, issuer: Issuer): Finding | undefined {
  const allowed = issuer[key];
  if (value === undefined || value === '' || allowed === undefined || allowed.has(value)) return undefined;
  const claim = key === 'tenants' ? 'tenant' : 'role';
  const fix = `add it to the issuer's ${key} if the issuer may name it`;
  return finding(allowedCodes[key], claim, oneOfThese(allowed), described(value), fix);
}

function lifetimeFinding({ issuedAtSec, expiresAtSec }: Claims, { maxTokenLifetimeSec }: Issuer): Finding | undefined {
  const lifetimeSec = expiresAtSec - issuedAtSec;
  if (Number.isNaN(lifetimeSec) || lifetimeSec <= maxTokenLifetimeSec) return undefined;
  const wanted = `at most ${maxTokenLifetimeSec} s after iat`;
  const fix = 'shorten the lifetime at the provider, or raise maxTokenLifetime';
  return finding('token_lifetime_refused', 'exp', wanted, `${lifetimeSec} s after iat`, fix);
}

function expiryFinding({ expiresAtSec }: Claims, nowMs: number): Finding | undefined {
  if (!(nowMs >= expiresAtSec * 1000 + toleranceMs)) return undefined;
  const wanted = `a time after ${timeText(nowMs / 1000)}`;
  return finding('token_expired', 'exp', wanted, timeText(expiresAtSec), 'get a new token');
}

function startFinding(payload: Payload, { issuedAtSec }: Claims, nowMs: number): Finding | undefined {
  const nbf = claimOf(payload, 'nbf');
  if (nbf !== undefined && !isUnixSeconds(nbf)) {
    const wanted = 'whole seconds since 1970';
    return finding('token_claims_invalid', 'nbf', wanted, described(nbf), 'the provider must send a number');
  }
  const startSec = Math.max(nbf ?? issuedAtSec, issuedAtSec);
  if (!(startSec * 1000 > nowMs + toleranceMs)) return undefined;
  const wanted = `a time before ${timeText(nowMs / 1000)}`;
  const fix = 'compare the clocks of the provider and the gateway';
  return finding('token_not_yet_valid', nbf === startSec ? 'nbf' : 'iat', wanted, timeText(startSec), fix);
}

// At a token endpoint, a DPoP proof adds its key to an unbound token's context.
const anyThumbprint = 'A'.repeat(43);

/**
 * Finds out whether the claims fit into the identity contract. Checked here, so that every route refuses such a token.
 */
function contextFinding(claims: Claims): Finding | undefined {
  const tooLong = finding(
    'token_context_too_long',
    'scope, roles and act',
    'at most 64 known scopes, 64 roles and 2,048 characters of context',
    `${claims.scope.length} scopes and ${claims.roles.length} roles`,
    'request fewer scopes, or map fewer roles',
  );
  if (claims.scope.length > maxNames || claims.roles.length > maxNames) return tooLong;
  try {
    prepareIdentity({ kind: 'anonymous', context: contextOf(claims, claims.jkt ?? anyThumbprint) }, 'context');
    return undefined;
  } catch (error) {
    if (error instanceof ContextTooLong) return tooLong;
    throw error;
  }
}

const timeText = (sec: number): string => new Date(Math.floor(sec) * 1000).toISOString().replace('.000Z', 'Z');
