import type { ClientIdentity, UserIdentity } from '@countersign/identity';
import { type Reader, readScope } from '../domain/access.ts';
import { AppError } from '../errors.ts';

/**
 * Admits a caller who reads complaints. OAuth clients, and agents that act for a user, need a scope.
 *
 * @throws AppError `insufficient_scope`, also for an OAuth client without a tenant.
 */
export function readerOf(identity: UserIdentity | ClientIdentity): Reader {
  const { kind, tenantId, context } = identity;
  const needsScope = kind === 'client' || context.act !== undefined;
  if (tenantId === undefined || (needsScope && context.scope?.includes(readScope) !== true)) {
    const challenge = `Bearer error="insufficient_scope", scope="${readScope}"`;
    throw new AppError('insufficient_scope', { headers: { 'www-authenticate': challenge } });
  }
  return { ...identity, tenantId };
}
