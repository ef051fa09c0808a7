import type { ClientIdentity, UserIdentity } from '@countersign/identity';
import { AppError } from '../errors.ts';

/**
 * Returns the tenant whose data a caller reads. OAuth clients need a scope, also when they act for a user.
 *
 * @throws AppError `insufficient_scope`, also for an OAuth client without a tenant.
 */
export function readerTenantOf({ kind, tenantId, context }: UserIdentity | ClientIdentity, scope: string): string {
  const needsScope = kind === 'client' || context.act !== undefined;
  if (tenantId !== undefined && (!needsScope || context.scope?.includes(scope) === true)) return tenantId;
  const challenge = `Bearer error="insufficient_scope", scope="${scope}"`;
  throw new AppError('insufficient_scope', { headers: { 'www-authenticate': challenge } });
}
