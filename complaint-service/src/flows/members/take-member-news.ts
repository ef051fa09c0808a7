import { mayTakeComplaints, serviceActors } from '../../domain/people.ts';
import { lockComplaintsOf } from '../../store/complaints/complaints.ts';
import { lockMember, saveNews } from '../../store/members/members.ts';
import type { MemberNews } from '../../store/schema/catalogue.ts';
import { asNews } from '../../store/scope.ts';
import { setAssignee } from '../complaints/assign-complaint.ts';
import type { FlowParts } from '../parts.ts';

/** Complaints that one transaction returns to the queue, so that it stays short. */
const batch = 50;

/**
 * Stores news of a member. If the member is not an active agent any more, their active complaints return to the queue.
 * When this fails in the middle, the auth-service sends the same news again, and the rest returns then.
 *
 * @returns Whether these are the latest news of the member.
 */
export async function takeMemberNews({ db, newId, now }: FlowParts, news: MemberNews): Promise<boolean> {
  const member = { tenantId: news.tenant_id, userId: news.user_id };
  for (;;) {
    const { isLatest, returned } = await asNews(db, news.tenant_id, async (trx) => {
      await lockMember(trx, member);
      if (!(await saveNews(trx, news))) return { isLatest: false, returned: 0 };
      if (mayTakeComplaints(news)) return { isLatest: true, returned: 0 };
      const left = await lockComplaintsOf(trx, news.user_id, batch);
      const reason = news.status === 'active' ? 'The assignee is no longer an agent.' : 'The assignee was disabled.';
      for (const complaint of left) {
        const returning = { assigneeId: null, actor: serviceActors.authService, at: now(), reason };
        await setAssignee(trx, { newId }, complaint, returning);
      }
      return { isLatest: true, returned: left.length };
    });
    if (returned < batch) return isLatest;
  }
}
