import { save } from '@countersign/database';
import { mayTakeComplaints, serviceActors } from '../domain/people.ts';
import { lockComplaintsOf } from '../store/complaints/complaints.ts';
import { lockMember, saveMembershipUpdate } from '../store/members.ts';
import { asMembershipUpdater } from '../store/schema.ts';
import type { MembershipUpdate } from '../store/tables.ts';
import { setAssignee } from './complaints/work.ts';
import type { FlowParts } from './parts.ts';

/** How many complaints a transaction returns to the queue, so that it stays short. */
const batch = 50;

/**
 * Stores a membership update. Returns active complaints to the queue if the member is no longer an active agent. After
 * a failure, the auth-service repeats the update, and the remaining complaints return.
 *
 * @returns Whether this is the member's latest update.
 */
export async function applyMembershipUpdate(
  { db, newId, now }: FlowParts,
  { tenant, ...update }: MembershipUpdate & Readonly<{ tenant?: Readonly<{ slug: string; name: string }> | undefined }>,
): Promise<boolean> {
  const member = { tenantId: update.tenant_id, userId: update.user_id };
  for (;;) {
    const { isLatest, returned } = await asMembershipUpdater(db, update.tenant_id, async (trx) => {
      await lockMember(trx, member);
      if (tenant !== undefined) {
        const organization = { tenant_id: update.tenant_id, short_name: tenant.slug, name: tenant.name };
        await save(trx, 'organizations', 'tenant_id', organization);
      }
      if (!(await saveMembershipUpdate(trx, update))) return { isLatest: false, returned: 0 };
      if (mayTakeComplaints(update)) return { isLatest: true, returned: 0 };
      const left = await lockComplaintsOf(trx, update.user_id, batch);
      const reason = update.status === 'active' ? 'The assignee is no longer an agent.' : 'The assignee was disabled.';
      for (const complaint of left) {
        const returning = { assigneeId: null, actor: serviceActors.authService, at: now(), reason };
        await setAssignee(trx, { newId }, complaint, returning);
      }
      return { isLatest: true, returned: left.length };
    });
    if (returned < batch) return isLatest;
  }
}
