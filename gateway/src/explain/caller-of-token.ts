import type { PolicyCaller } from '../routing/policy.ts';
import type { AcceptedToken } from './example-request.ts';

/** The caller that a route's rules see for an accepted token. */
export function callerOfToken({ claims }: AcceptedToken): PolicyCaller {
  const bound = claims.jkt !== undefined || claims.certificate !== undefined;
  const token = { claims };
  if (claims.kind === 'client') {
    const { kind, clientId, role, tenantId } = claims;
    return { kind, clientId, role, tenantId, token, bound };
  }
  const { kind, userId, role, tenantId } = claims;
  return { kind, userId, role, tenantId, token, bound };
}
