import { ContextTooLong, isUnixSeconds, prepareIdentity } from '@countersign/identity';
import type { Issuer } from '../../config/config.ts';
import { toleranceMs } from '../../config/config.ts';
import { errorTable } from '../../errors.ts';
import { type Claims, contextOf } from '../claims.ts';
import { audienceFinding, checkMachine, clientOf } from './audience.ts';
import { claimOf, type Payload } from './claim-path.ts';
import { ClaimReader, compileSources } from './claim-reader.ts';
import { unmet } from './conditions.ts';
import { described, type Finding, finding, oneOfThese } from './finding.ts';
import { payloadType } from './token-type.ts';

/** The identity contract carries no more scopes, and no more roles. */
const maxNames = 64;

export type ExaminedClaims = Readonly<{
  /** Complete only if there is no finding. */
  claims: Claims;
  findings: readonly Finding[];
}>;

/** Reads the claims of one token of an issuer. */
export type ReadClaims = (header: Payload, payload: Payload, nowMs: number) => ExaminedClaims;

/**
 * Compiles the reader of an issuer's claims, once for each configuration. It finds everything that is wrong with the claims of a
 * token, in the order in which the token would be refused. Values are never repaired.
 *
 * The reader takes the header too, because `typ` says whether the claims must show that this is an access token. Findings have the
 * codes `token_type_refused`, `token_audience_refused`, `token_client_refused`, `token_machine_refused`,
 * `token_requirement_unmet`, `token_claims_invalid`, `token_actor_invalid`, `token_tenant_refused`, `token_role_refused`,
 * `token_lifetime_refused`, `token_expired`, `token_not_yet_valid` and `token_context_too_long`; a token that is valid otherwise
 * has `role_missing` or `tenant_missing` without a role or a tenant.
 *
 * @see RFC 9068 section 4, RFC 7519 section 4.1
 */
export function compileClaims(issuer: Issuer): ReadClaims {
  const sources = compileSources(issuer);
  return (header, payload, nowMs) => {
    const invalid: Finding[] = [];
    /** Only a token that is valid otherwise gets 403: an expired one must be replaced first. */
    const forbidden: Finding[] = [];
    const report = (found: Finding | undefined) => {
      if (found !== undefined) (errorTable[found.code].status === 403 ? forbidden : invalid).push(found);
    };
    const client = clientOf(payload, issuer);
    report(payloadType(header, payload, issuer));
    report(audienceFinding(payload, issuer, client));
    report(client.finding);
    const machine = checkMachine(payload, issuer, client);
    report(machine.finding);
    report(requirementFinding(payload, issuer));
    const kind = machine.isMachine ? 'client' : 'user';
    const claims = new ClaimReader(payload, issuer, sources, report).read(kind, client.id);
    report(allowedFinding('tenants', claims.tenantId, issuer));
    report(allowedFinding('roles', claims.role, issuer));
    report(lifetimeFinding(claims, issuer));
    report(expiryFinding(claims, nowMs));
    report(startFinding(payload, claims, nowMs));
    if (invalid.length === 0) report(contextFinding(claims));
    return { claims, findings: [...invalid, ...forbidden] };
  };
}

function requirementFinding(payload: Payload, { require: required }: Issuer): Finding | undefined {
  const lacking = unmet(required, payload);
  const fix = 'change require, or the claim at the provider';
  return lacking && finding('token_requirement_unmet', lacking.claim, lacking.wanted, lacking.found, fix);
}

const allowedCodes = { tenants: 'token_tenant_refused', roles: 'token_role_refused' } as const;

function allowedFinding(key: 'tenants' | 'roles', value: string | undefined, issuer: Issuer): Finding | undefined {
  const allowed = issuer[key];
  if (value === undefined || value === '' || allowed === undefined || allowed.has(value)) return undefined;
  const claim = key === 'tenants' ? 'tenant' : 'role';
  const fix = `add it to ${key} of this issuer, if the issuer may name it`;
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
  if (nbf !== undefined && !(typeof nbf === 'number' && isUnixSeconds(nbf))) {
    const wanted = 'whole seconds since 1970';
    return finding('token_claims_invalid', 'nbf', wanted, described(nbf), 'the provider must send a number');
  }
  const startSec = Math.max(nbf ?? issuedAtSec, issuedAtSec);
  if (!(startSec * 1000 > nowMs + toleranceMs)) return undefined;
  const wanted = `a time before ${timeText(nowMs / 1000)}`;
  const fix = 'compare the clocks of the provider and the gateway';
  return finding('token_not_yet_valid', nbf === startSec ? 'nbf' : 'iat', wanted, timeText(startSec), fix);
}

// A proof at a token endpoint adds its key to the context of a token without one.
const anyThumbprint = 'A'.repeat(43);

/** Whether services can be told what the token says. Decided here, so that a token is refused everywhere or nowhere. */
function contextFinding(claims: Claims): Finding | undefined {
  const tooLong = finding(
    'token_context_too_long',
    'scope, roles and act',
    'at most 64 known scopes, 64 roles and 2,048 characters of context',
    `${claims.scope.length} scopes and ${claims.roles.length} roles`,
    'ask for fewer scopes, or map fewer roles',
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
