import type { End, NamedTenants } from '@countersign/signals';
import type { Issuer } from '../config/config.ts';
import type { EndedTokens } from './event-stream.ts';

/** Returns the tenants that an event can name. Tokens and events must use the same tenant ids. */
export function tenantsOf({ claims, tenants, tenantPrefix, template }: Issuer): NamedTenants {
  if (claims.tenantId.kind !== 'claim' || template?.value !== undefined) return 'none';
  if (tenants === undefined) return 'any';
  const own = [...tenants].filter((tenant) => tenant.startsWith(tenantPrefix));
  return new Set(own.map((tenant) => tenant.slice(tenantPrefix.length)));
}

/** Returns the ended subject, as our tokens name it. */
export function endedTokens(end: End, { subjectEncoding, userPrefix, tenantPrefix }: Issuer): EndedTokens {
  const userOf = (id: string) =>
    userPrefix + (subjectEncoding === 'base64url' ? Buffer.from(id).toString('base64url') : id);
  const { kind, notBeforeMs } = end;
  const tenantId = 'tenantId' in end && end.tenantId !== undefined ? tenantPrefix + end.tenantId : undefined;
  const own = 'sessionId' in end ? end.sessionId : 'userId' in end ? userOf(end.userId) : undefined;
  return { kind, tenantId, notBeforeMs, name: [tenantId, own].filter((id) => id !== undefined).join(' ') };
}
