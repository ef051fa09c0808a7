import type { GatewayConfig, Issuer, TestCaller } from '../config/config.ts';
import type { Code } from '../errors.ts';
import type { PolicyCaller, PolicyPrincipal } from '../routing/policy.ts';

/** The principal that a valid token of an issuer would give. Scopes that the configuration does not know are dropped. */
export function assumedPrincipal(
  assumed: TestCaller,
  issuer: Issuer | undefined,
): PolicyPrincipal & { bound: boolean } {
  const { userId, role, tenantId, client, scope, actor, claims, bound } = assumed;
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

/** The issuer of an assumed token: the named one, or the first of the configuration. */
export function issuerOf({ issuers }: Pick<GatewayConfig, 'issuers'>, named: string | undefined): Issuer | undefined {
  return named === undefined ? issuers[0] : issuers.find(({ issuer, name }) => issuer === named || name === named);
}

/** The refusal of a token that would never reach the rules of a route: that of a machine of an issuer that accepts none. */
export function refusedEarlier(caller: PolicyCaller, { issuers }: Pick<GatewayConfig, 'issuers'>): Code | undefined {
  if (caller.kind !== 'client') return undefined;
  const issuer = issuers.find((one) => one.issuer === caller.token.claims.issuer);
  return issuer?.machines.isAccepted === false ? 'token_machine_refused' : undefined;
}

export const whyMachineRefused = 'set machines for the issuer to accept tokens of machines';

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

/** The caller as JSON. */
export function callerJson(caller: PolicyCaller): Readonly<Record<string, unknown>> {
  if (caller.kind === 'anonymous') return caller;
  if (caller.kind === 'service') {
    const { principal, ...service } = caller;
    return { ...service, ...(principal && { principal: callerJson({ ...principal, bound: false }) }) };
  }
  const { token, ...facts } = caller;
  const { clientId, issuer, scope, act } = token.claims;
  return { ...facts, clientId, issuer, scope, act };
}
