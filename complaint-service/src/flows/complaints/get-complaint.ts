import { AppError, found } from '../../errors.ts';
import { findComplaint, lockComplaint } from '../../store/complaints/complaints.ts';
import { asUser, type ComplaintsDatabase, type ScopeUser, type Trx } from '../../store/schema.ts';
import type { Complaint } from '../../store/tables.ts';

const queries = { read: findComplaint, change: lockComplaint };

/**
 * Returns a complaint if the user can see it, and locks it for a change.
 *
 * @param id A UUID.
 * @throws AppError `not_found` for an unknown complaint, and for one that the user cannot see. `complaint_locked` when
 *   changing an anonymized complaint, because retention would not remove the change.
 */
export async function getComplaint(trx: Trx, id: string, purpose: 'read' | 'change'): Promise<Complaint> {
  const complaint = found(await queries[purpose](trx, id));
  if (purpose === 'change' && complaint.erased_at !== null) throw new AppError('complaint_locked');
  return complaint;
}

/** Reads rows of a complaint that the user can see. @throws AppError `not_found` */
export function readOf<T>(
  db: ComplaintsDatabase,
  user: ScopeUser,
  id: string,
  read: (trx: Trx) => Promise<T>,
): Promise<T> {
  return asUser(db, user, async (trx) => {
    await getComplaint(trx, id, 'read');
    return read(trx);
  });
}
