import type { UserIdentity } from '@countersign/identity';
import { reachOf } from '../domain/access.ts';
import { AppError } from '../errors.ts';
import { findComplaint, lockComplaint } from '../store/complaints.ts';
import type { Trx } from '../store/in-tenant.ts';
import type { Complaint } from '../store/schema.ts';
import { isComplaintId } from './fields.ts';

const queries = { read: findComplaint, change: lockComplaint };

/**
 * Returns the complaint of a path, if the caller may see it. Locks it for a change.
 *
 * @throws AppError `not_found`: the same for unknown complaints, other tenants' and other complainants'.
 */
export async function reachComplaint(
  trx: Trx,
  user: UserIdentity,
  id: string,
  purpose: 'read' | 'change',
): Promise<Complaint> {
  const complaint = isComplaintId(id) ? await queries[purpose](trx, reachOf(user), id) : undefined;
  if (complaint === undefined) throw new AppError('not_found');
  return complaint;
}
