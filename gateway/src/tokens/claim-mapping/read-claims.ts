import { ContextTooLong, isUnixSeconds, prepareIdentity } from '@countersign/identity';
import type { Issuer } from '../../config/config.ts';
import { toleranceMs } from '../../config/config.ts';
import { errorTable } from '../../errors.ts';
import { type Claims, contextOf } from '../claims.ts';
import { audienceFinding, checkMachine, clientOf } from './audience.ts';
import { claimOf, type Payload } from './claim-path.ts';
import { ClaimReader } from './claim-reader.ts';
import { conditionsText, failing, holds } from './conditions.ts';
import { described, type Finding, oneOfThese, refusalFor } from './finding.ts';
import { payloadType } from './token-type.ts';

/** The identity contract carries no more scopes, and no more roles. */
const maxNames = 64;

export type ExaminedClaims = Readonly<{
  /** Complete only if there is no finding. */
  claims: Claims;
  findings: readonly Finding[];
}>;

/**
 * Reads the claims of a token whose signature is valid. Values are never repaired: an invalid one refuses the token.
 *
 * @param header Its `typ` says whether the claims must show that this is an access token.
 * @param nowMs Unix milliseconds.
 * @throws AppError `token_type_refused`, `token_audience_refused`, `token_client_refused`, `token_machine_refused`,
 *   `token_requirement_unmet`, `token_claims_invalid`, `token_actor_invalid`, `token_tenant_refused`,
 *   `token_role_refused`, `token_lifetime_refused`, `token_expired`, `token_not_yet_valid`, `token_context_too_long`.
 *   `role_missing` and `tenant_missing` for a valid token without a role or a tenant. The detail says what came and what was wanted.
 * @see RFC 9068 section 4, RFC 7519 section 4.1
 */
export function readClaims(header: Payload, payload: Payload, issuer: Issuer, nowMs: number): Claims {
  const { claims, findings } = examineClaims(header, payload, issuer, nowMs);
  const [first] = findings;
  if (first !== undefined) throw refusalFor(first, issuer.issuer, payload.sub);
  return claims;
}

/** Finds everything that is wrong with the claims of a token, in the order in which it would be refused. */
export function examineClaims(header: Payload, payload: Payload, issuer: Issuer, nowMs: number): ExaminedClaims {
  const invalid: Finding[] = [];
  /** Only a token that is valid otherwise gets 403: an expired one must be replaced first. */
  const forbidden: Finding[] = [];
  const report = (finding: Finding | undefined) => {
    if (finding !== undefined) (errorTable[finding.code].status === 403 ? forbidden : invalid).push(finding);
  };
  const client = clientOf(payload, issuer);
  report(payloadType(header, payload, issuer));
  report(audienceFinding(payload, issuer, client));
  report(client.finding);
  const machine = checkMachine(payload, issuer, client);
  report(machine.finding);
  report(requirementFinding(payload, issuer));
  const claims = new ClaimReader(payload, issuer, report).read(machine.isMachine ? 'client' : 'user', client.id);
  report(allowedFinding('tenants', claims.tenantId, issuer));
  report(allowedFinding('roles', claims.role, issuer));
  report(lifetimeFinding(claims, issuer));
  report(expiryFinding(claims, nowMs));
  report(startFinding(payload, claims, nowMs));
  if (invalid.length === 0) report(contextFinding(claims));
  return { claims, findings: [...invalid, ...forbidden] };
}

function requirementFinding(payload: Payload, { require: required }: Issuer): Finding | undefined {
  if (holds(required, payload)) return undefined;
  const { claim = '' } = failing(required, payload) ?? {};
  return {
    code: 'token_requirement_unmet',
    claim,
    wanted: conditionsText(required),
    found: described(claimOf(payload, claim)),
    fix: 'change require, or the claim at the provider',
  };
}

const allowedCodes = { tenants: 'token_tenant_refused', roles: 'token_role_refused' } as const;

function allowedFinding(key: 'tenants' | 'roles', value: string | undefined, issuer: Issuer): Finding | undefined {
  const allowed = issuer[key];
  if (value === undefined || value === '' || allowed === undefined || allowed.has(value)) return undefined;
  const claim = key === 'tenants' ? 'tenant' : 'role';
  const fix = `add it to ${key} of this issuer, if the issuer may name it`;
  return { code: allowedCodes[key], claim, wanted: oneOfThese(allowed), found: described(value), fix };
}

function lifetimeFinding({ issuedAtSec, expiresAtSec }: Claims, { maxTokenLifetimeSec }: Issuer): Finding | undefined {
  const lifetimeSec = expiresAtSec - issuedAtSec;
  if (Number.isNaN(lifetimeSec) || lifetimeSec <= maxTokenLifetimeSec) return undefined;
  return {
    code: 'token_lifetime_refused',
    claim: 'exp',
    wanted: `at most ${maxTokenLifetimeSec} s after iat`,
    found: `${lifetimeSec} s after iat`,
    fix: 'shorten the lifetime at the provider, or raise maxTokenLifetime',
  };
}

function expiryFinding({ expiresAtSec }: Claims, nowMs: number): Finding | undefined {
  if (!(nowMs >= expiresAtSec * 1000 + toleranceMs)) return undefined;
  return {
    code: 'token_expired',
    claim: 'exp',
    wanted: `a time after ${timeText(nowMs / 1000)}`,
    found: timeText(expiresAtSec),
    fix: 'get a new token',
  };
}

function startFinding(payload: Payload, { issuedAtSec }: Claims, nowMs: number): Finding | undefined {
  const nbf = claimOf(payload, 'nbf');
  if (nbf !== undefined && !(typeof nbf === 'number' && isUnixSeconds(nbf))) {
    const wanted = 'whole seconds since 1970';
    return {
      code: 'token_claims_invalid',
      claim: 'nbf',
      wanted,
      found: described(nbf),
      fix: 'the provider must send a number',
    };
  }
  const startSec = Math.max(nbf ?? issuedAtSec, issuedAtSec);
  if (!(startSec * 1000 > nowMs + toleranceMs)) return undefined;
  return {
    code: 'token_not_yet_valid',
    claim: nbf === startSec ? 'nbf' : 'iat',
    wanted: `a time before ${timeText(nowMs / 1000)}`,
    found: timeText(startSec),
    fix: 'compare the clocks of the provider and the gateway',
  };
}

// A proof at a token endpoint adds its key to the context of a token without one.
const anyThumbprint = 'A'.repeat(43);

/** Whether services can be told what the token says. Decided here, so that a token is refused everywhere or nowhere. */
function contextFinding(claims: Claims): Finding | undefined {
  const finding: Finding = {
    code: 'token_context_too_long',
    claim: 'scope, roles and act',
    wanted: 'at most 64 known scopes, 64 roles and 2,048 characters of context',
    found: `${claims.scope.length} scopes and ${claims.roles.length} roles`,
    fix: 'ask for fewer scopes, or map fewer roles',
  };
  if (claims.scope.length > maxNames || claims.roles.length > maxNames) return finding;
  try {
    prepareIdentity({ kind: 'anonymous', context: contextOf(claims, claims.jkt ?? anyThumbprint) }, 'context');
    return undefined;
  } catch (error) {
    if (error instanceof ContextTooLong) return finding;
    throw error;
  }
}

const timeText = (sec: number): string => new Date(Math.floor(sec) * 1000).toISOString().replace('.000Z', 'Z');
