import type { Identity } from '@countersign/console';
import { newRequestId } from '@countersign/identity';
import { noKeys } from '@countersign/jwks';
import type { Issuer, TestCaller } from '../config/config.ts';
import type { Code } from '../errors.ts';
import { bearerCaller } from '../pipeline/authenticate.ts';
import type { Caller } from '../pipeline/exchange.ts';
import { claimsOf, type Grant } from '../routing/policy.ts';
import { copiedClaims } from '../tokens/claim-mapping/copied-claims.ts';
import { findIssuer } from '../tokens/claim-mapping/find-issuer.ts';
import type { Claims } from '../tokens/claims.ts';

export type AcceptedToken = Readonly<{ claims: Claims; issuer: Issuer }>;

/**
 * Who sends a request: a token's holder, a service, or a service that acts for that holder. If neither is set, the
 * caller is anonymous.
 */
export type Requester = Readonly<{ token?: AcceptedToken | undefined; service?: string | undefined }>;

// The example key of RFC 7638.
const exampleThumbprint = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';

/** Builds a token that an issuer would accept. It has only scopes that the configuration knows. */
export function assumedToken(assumed: TestCaller, issuer: Issuer, nowMs: number): AcceptedToken {
  const { userId, role, tenantId, client, actor, bound } = assumed;
  const nowSec = Math.floor(nowMs / 1000);
  const common = {
    issuer: issuer.issuer,
    tokenId: 'JTI',
    issuedAtSec: nowSec,
    expiresAtSec: nowSec + 900,
    authTimeSec: undefined,
    authMethods: undefined,
    jkt: bound ? exampleThumbprint : undefined,
    certificate: undefined,
    scope: assumed.scope.filter((one) => issuer.kept.scopes.has(one)),
    roles: [],
    act: actor && { sub: actor.name, iss: actor.issuer ?? issuer.issuer },
    kept: new Map(Object.entries(assumed.claims ?? {})),
    copied: copiedClaims(assumed.claims ?? {}, issuer.kept.copied),
  };
  // The configuration guarantees that a user has both, and that a caller without a user is an OAuth client.
  if (userId === undefined) {
    const clientId = client ?? '';
    const caller = { kind: 'client', subject: clientId, userId, role, tenantId, clientId } as const;
    return { claims: { ...common, ...caller, sessionId: undefined }, issuer };
  }
  const person = { kind: 'user', subject: userId, userId, role: role ?? '', tenantId: tenantId ?? '' } as const;
  const sessionId = issuer.revocations && 'SESSION';
  return { claims: { ...common, ...person, clientId: client, sessionId }, issuer };
}

export function callerOf({ token: accepted, service }: Requester): Caller {
  if (accepted === undefined) {
    return service === undefined ? { kind: 'anonymous', jkt: undefined } : { kind: 'service', serviceId: service };
  }
  const { claims, issuer } = accepted;
  // Explaining a request never uses the keys.
  const trusted = { config: issuer, keys: noKeys, revocations: undefined };
  const bearer = bearerCaller({ claims, kid: 'KID', issuer: trusted, generation: 0, prepared: new Map() }, claims.jkt);
  if (service === undefined) return bearer;
  return { kind: 'service', serviceId: service, principal: { id: newRequestId(), depth: 1, token: bearer.token } };
}

/** Returns the refusal of an OAuth client whose issuer accepts none. Its token never reaches a route's rules. */
export function machineRefusal(caller: Caller): Readonly<{ code: Code; why: string }> | undefined {
  if (caller.kind !== 'client' || caller.token.issuer.config.machines.isAccepted) return undefined;
  return { code: 'token_machine_refused', why: 'set machines for the issuer to accept tokens of OAuth clients' };
}

export const issuerOf = (issuers: readonly Issuer[], iss: string): Issuer | undefined =>
  findIssuer(new Map(issuers.map((config) => [config.issuer, { config }])), iss)?.config;

/** Finds an issuer by its URL, its name, or a token's `iss`. */
export const issuerNamed = (issuers: readonly Issuer[], named: string): Issuer | undefined =>
  issuers.find(({ issuer, name }) => issuer === named || name === named) ?? issuerOf(issuers, named);

export function callerText(caller: Caller): string {
  const claims = claimsOf(caller);
  const text = claims && claimsText(claims);
  if (caller.kind === 'service') return `service ${caller.serviceId}${text === undefined ? '' : ` for ${text}`}`;
  return text === undefined ? 'anonymous' : `${text}${isBound(caller) ? ', bound to a key' : ''}`;
}

const isBound = (caller: Caller): boolean => 'bound' in caller && caller.bound;

function claimsText({ kind, userId, role, tenantId, clientId, issuer, scope, act }: Grant): string {
  const name = kind === 'user' ? `${role} ${userId}` : `client ${clientId}`;
  const parts = [
    `${name}${tenantId === undefined ? '' : ` of ${tenantId}`}`,
    ...(kind === 'client' && role !== undefined ? [`role ${role}`] : []),
    ...(kind === 'user' && clientId !== undefined ? [`through ${clientId}`] : []),
    ...(clientId !== undefined && issuer !== '' ? [`issuer ${issuer}`] : []),
    ...(scope.length > 0 ? [`with ${scope.join(' ')}`] : []),
    ...(act === undefined ? [] : [`${act.sub} acts`]),
  ];
  return parts.join(', ');
}

export function identityOf(caller: Caller): Identity | null {
  const claims = claimsOf(caller);
  if (claims === undefined) return null;
  const { kind, userId = null, clientId = null, role = null, tenantId = null, scope, act = null } = claims;
  const verified = 'token' in caller ? caller.token.claims : undefined;
  return {
    kind,
    user_id: userId,
    client_id: clientId,
    role,
    tenant_id: tenantId,
    session_id: verified?.sessionId ?? null,
    scope: [...scope],
    roles: [...(verified?.roles ?? [])],
    act,
    bound: isBound(caller),
  };
}
