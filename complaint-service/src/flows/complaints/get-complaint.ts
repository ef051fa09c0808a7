import { AppError } from '../../errors.ts';
import { findComplaint, lockComplaint } from '../../store/complaints/complaints.ts';
import type { Complaint } from '../../store/schema/complaints.ts';
import type { Trx } from '../../store/scope.ts';

const queries = { read: findComplaint, change: lockComplaint };

/**
 * Returns a complaint if the user can see it, and locks it for a change.
 *
 * @param id A UUID.
 * @throws AppError `not_found` for an unknown complaint, and for one that the user cannot see. `complaint_locked` when
 *   changing an anonymized complaint, because retention would not remove the change.
 */
export async function getComplaint(trx: Trx, id: string, purpose: 'read' | 'change'): Promise<Complaint> {
  const complaint = await queries[purpose](trx, id);
  if (complaint === undefined) throw new AppError('not_found');
  if (purpose === 'change' && complaint.erased_at !== null) throw new AppError('complaint_locked');
  return complaint;
}
