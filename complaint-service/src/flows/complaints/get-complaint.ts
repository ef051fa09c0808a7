import { AppError } from '../../errors.ts';
import { findComplaint, lockComplaint } from '../../store/complaints/complaints.ts';
import type { Complaint } from '../../store/schema/complaints.ts';
import type { Trx } from '../../store/scope.ts';

const queries = { read: findComplaint, change: lockComplaint };

/**
 * Returns a complaint, if the user may see it. Locks it for a change.
 *
 * @param id A UUID.
 * @throws AppError `not_found` for unknown complaints and those of other tenants or complainants alike.
 *   `complaint_locked` when changing an anonymized complaint: anything added would stay forever, because retention does
 *   not process it again.
 */
export async function getComplaint(trx: Trx, id: string, purpose: 'read' | 'change'): Promise<Complaint> {
  const complaint = await queries[purpose](trx, id);
  if (complaint === undefined) throw new AppError('not_found');
  if (purpose === 'change' && complaint.erased_at !== null) throw new AppError('complaint_locked');
  return complaint;
}
