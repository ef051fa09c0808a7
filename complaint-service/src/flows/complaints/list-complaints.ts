import type { UserIdentity } from '@countersign/identity';
import { isStaff } from '../../domain/access.ts';
import type { Status } from '../../domain/complaints/workflow.ts';
import type { ListPosition, Order } from '../../domain/search/list-order.ts';
import { findCategoryNamed } from '../../store/catalogue/categories.ts';
import { type ComplaintFilter, listComplaints } from '../../store/complaints/list-complaints.ts';
import type { Complaint } from '../../store/schema/complaints.ts';
import { asUser } from '../../store/scope.ts';
import type { FlowParts } from '../parts.ts';

export type Filter = Readonly<{
  statuses?: readonly Status[] | undefined;
  /** For staff the complaints assigned to them, for complainants their own. */
  mine?: boolean | undefined;
  unassigned?: boolean | undefined;
  overdue?: boolean | undefined;
  assigneeId?: string | undefined;
  /** The id or the name of a category. */
  category?: string | undefined;
  teamId?: string | undefined;
  priority?: number | undefined;
  from?: Date | undefined;
  before?: Date | undefined;
  words?: readonly string[] | undefined;
}>;

export type Wanted = Filter & Readonly<{ order: Order; after: ListPosition | undefined; limit: number }>;

/** Lists the complaints that the user may see: all of the tenant for staff, their own for complainants. */
export function findComplaints(parts: FlowParts, user: UserIdentity, wanted: Wanted): Promise<Complaint[]> {
  const { mine, overdue, category: named, order, after, limit, ...filter } = wanted;
  return asUser(parts.db, user, async (trx) => {
    const category = named === undefined ? undefined : await findCategoryNamed(trx, named);
    if (named !== undefined && category === undefined) return [];
    const whole: ComplaintFilter = {
      ...filter,
      ...(category !== undefined && { categoryId: category.id }),
      ...(overdue === true && { overdueAt: parts.now() }),
      ...(mine === true && isStaff(user) && { assigneeId: user.userId }),
      ...(!isStaff(user) && { complainantId: user.userId }),
    };
    return listComplaints(trx, { filter: whole, order, after, limit });
  });
}
