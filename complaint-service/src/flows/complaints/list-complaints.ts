import { type Caller, isStaff, type Reader } from '../../domain/access.ts';
import type { ListPosition, Order } from '../../domain/search/list-order.ts';
import { findCategoryNamed } from '../../store/catalogue/categories.ts';
import { type ComplaintFilter, listComplaints } from '../../store/complaints/list-complaints.ts';
import type { Complaint } from '../../store/schema/complaints.ts';
import { asReader } from '../../store/scope.ts';
import type { FlowParts } from '../parts.ts';

/** A filter as the API takes it. `false` is the same as undefined. */
export type Filter = Omit<ComplaintFilter, 'complainantId' | 'categoryId' | 'overdueAt'> &
  Readonly<{
    /**
     * For agents and admins, complaints assigned to them. For complainants, their own complaints. OAuth clients have
     * none.
     */
    mine?: boolean | undefined;
    overdue?: boolean | undefined;
    /** A category id or name. */
    category?: string | undefined;
  }>;

export type Wanted = Filter & Readonly<{ order: Order; after: ListPosition | undefined; limit: number }>;

/**
 * Lists the complaints that the reader can see. Complainants see their own complaints, others see all complaints in the
 * tenant.
 */
export async function findComplaints(parts: FlowParts, reader: Reader, wanted: Wanted): Promise<Complaint[]> {
  const { mine, overdue, category: named, order, after, limit, ...filter } = wanted;
  if (mine === true && reader.kind === 'client') return [];
  return asReader(parts.db, reader, async (trx) => {
    const category = named === undefined ? undefined : await findCategoryNamed(trx, named);
    if (named !== undefined && category === undefined) return [];
    const whole: ComplaintFilter = {
      ...filter,
      ...(category !== undefined && { categoryId: category.id }),
      ...(overdue === true && { overdueAt: parts.now() }),
      ...(reader.kind === 'user' && ownFilter(reader, mine)),
    };
    return listComplaints(trx, { filter: whole, order, after, limit });
  });
}

function ownFilter(user: Caller, mine: boolean | undefined): ComplaintFilter {
  if (!isStaff(user)) return { complainantId: user.userId };
  return mine === true ? { assignee: user.userId } : {};
}
