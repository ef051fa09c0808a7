import type { UserIdentity } from '@countersign/identity';
import { requestIdOf } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { adminRole } from '../../domain/accounts/account-rules.ts';
import { AppError } from '../../errors.ts';
import type { Admin } from '../../flows/tenants/as-admin.ts';

/**
 * Checks that the caller is an administrator of this tenant. Does not rely on the same check in the gateway.
 *
 * @param tenantId The tenant in the path, if any.
 */
export function adminOf(identity: UserIdentity, res: Response, tenantId = identity.tenantId): Admin {
  if (tenantId !== identity.tenantId) throw new AppError('tenant_mismatch');
  if (identity.role !== adminRole) throw new AppError('insufficient_role');
  const { userId, context } = identity;
  return { tenantId, userId, sessionId: context.sid ?? null, requestId: requestIdOf(res) };
}

export const pathId = (req: Request, name: string): string => String(req.params[name]);
