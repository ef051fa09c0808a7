import { z } from 'zod';
import type { GatewayConfig, Issuer, PolicyTest, TestCaller } from '../config/config.ts';
import type { Code } from '../errors.ts';
import { type PolicyCaller, type PolicyPrincipal, principalOf } from '../routing/policy.ts';
import { findIssuer } from '../tokens/claim-mapping/find-issuer.ts';
import type { Claims } from '../tokens/claims.ts';

/** The principal that a valid token of an issuer would give. Scopes that the configuration does not know are dropped. */
function assumedPrincipal(assumed: TestCaller, issuer: Issuer | undefined): PolicyPrincipal & { bound: boolean } {
  const { userId, role, tenantId, client, scope, actor, claims = {}, bound } = assumed;
  const name = issuer?.issuer ?? '';
  const granted = {
    issuer: name,
    clientId: client,
    scope: scope.filter((one) => issuer?.kept.scopes.has(one)),
    act: actor && { sub: actor.name, iss: actor.issuer ?? name },
    kept: new Map(Object.entries(claims)),
  };
  const token = { claims: granted };
  // The configuration checks that a user has both, and that a caller without a user is a client.
  if (userId !== undefined) return { kind: 'user', userId, role: role ?? '', tenantId: tenantId ?? '', token, bound };
  return { kind: 'client', clientId: client ?? '', role, tenantId, token, bound };
}

/** Finds an issuer by `issuer`, by its name, or by the `iss` of a token, which may fit a template. */
export function issuerNamed(issuers: readonly Issuer[], named: string): Issuer | undefined {
  const given = issuers.find(({ issuer, name }) => issuer === named || name === named);
  return given ?? findIssuer(new Map(issuers.map((config) => [config.issuer, { config }])), named)?.config;
}

/** The caller with a valid token or without one, or the service that calls for it. */
export function assumedCaller(
  { as: assumed, service: serviceId }: Pick<PolicyTest['request'], 'as' | 'service'>,
  issuer: Issuer | undefined,
): PolicyCaller {
  const principal = assumed && assumedPrincipal(assumed, issuer);
  if (serviceId !== undefined) return { kind: 'service', serviceId, principal };
  return principal ?? { kind: 'anonymous' };
}

/** The claims of an accepted token, and the issuer that accepts it. */
export type AcceptedToken = Readonly<{ claims: Claims; issuer: Issuer }>;

/** The caller that a route's rules see for an accepted token. */
export function callerOfToken(claims: Claims): PolicyCaller {
  const known = { token: { claims }, bound: claims.jkt !== undefined || claims.certificate !== undefined };
  if (claims.kind === 'client') {
    const { kind, clientId, role, tenantId } = claims;
    return { kind, clientId, role, tenantId, ...known };
  }
  const { kind, userId, role, tenantId } = claims;
  return { kind, userId, role, tenantId, ...known };
}

/** The refusal of a machine, where its issuer accepts none: its token never reaches the rules of a route. */
export function machineRefusal(
  caller: PolicyCaller,
  { issuers }: Pick<GatewayConfig, 'issuers'>,
): Readonly<{ code: Code; why: string }> | undefined {
  if (caller.kind !== 'client') return undefined;
  const issuer = issuers.find((one) => one.issuer === caller.token.claims.issuer);
  if (issuer?.machines.isAccepted !== false) return undefined;
  return { code: 'token_machine_refused', why: 'set machines for the issuer to accept tokens of machines' };
}

/** The caller in a few words. */
export function callerText(caller: PolicyCaller): string {
  if (caller.kind === 'anonymous') return 'anonymous';
  if (caller.kind !== 'service') return `${principalText(caller)}${caller.bound ? ', bound to a key' : ''}`;
  const { serviceId, principal } = caller;
  return principal === undefined ? `service ${serviceId}` : `service ${serviceId} for ${principalText(principal)}`;
}

function principalText(principal: PolicyPrincipal): string {
  const { role, tenantId, token } = principal;
  const { clientId, issuer, scope, act } = token.claims;
  const name = principal.kind === 'user' ? `${role} ${principal.userId}` : `client ${principal.clientId}`;
  const parts = [
    `${name}${tenantId === undefined ? '' : ` of ${tenantId}`}`,
    ...(principal.kind === 'client' && role !== undefined ? [`role ${role}`] : []),
    ...(principal.kind === 'user' && clientId !== undefined ? [`through ${clientId}`] : []),
    ...(clientId !== undefined && issuer !== '' ? [`issuer ${issuer}`] : []),
    ...(scope.length > 0 ? [`with ${scope.join(' ')}`] : []),
    ...(act === undefined ? [] : [`${act.sub} acts`]),
  ];
  return parts.join(', ');
}

const text = z.string().nullable();

/** A user or a machine, as JSON. */
export const identitySchema = z
  .object({
    kind: z.enum(['user', 'client']),
    user_id: text,
    client_id: text.describe('The machine, or the client through which the user came.'),
    role: text,
    tenant_id: text,
    session_id: text,
    scope: z.array(z.string()),
    roles: z.array(z.string()).describe('Every mapped role of a verified token.'),
    act: z.object({ sub: z.string(), iss: z.string() }).nullable().describe('The actor that acts for the caller.'),
    bound: z.boolean().describe('Whether the token is bound to a key or a certificate of the client.'),
  })
  .meta({ id: 'Identity' });

/**
 * The user or the machine that calls, or for which a service calls.
 *
 * @param verified Of its token, if it was verified.
 */
export function identityOf(
  caller: PolicyCaller,
  verified?: Pick<Claims, 'sessionId' | 'roles'>,
): z.output<typeof identitySchema> | null {
  const principal = principalOf(caller);
  if (principal === undefined) return null;
  const { kind, role = null, tenantId = null, token } = principal;
  const { clientId = null, scope, act = null } = token.claims;
  return {
    kind,
    user_id: kind === 'user' ? principal.userId : null,
    client_id: clientId,
    role,
    tenant_id: tenantId,
    session_id: verified?.sessionId ?? null,
    scope: [...scope],
    roles: [...(verified?.roles ?? [])],
    act,
    bound: 'bound' in caller && caller.bound,
  };
}
