import type { UserIdentity } from '@countersign/identity';
import { userOf } from '@countersign/identity/express';
import { assertIfMatch, createRouter, jsonBody } from '@countersign/service-kit';
import type { Router } from 'express';
import type { Transaction } from 'kysely';
import { changesTo } from '../domain/profile.ts';
import { inTenant } from '../store/in-tenant.ts';
import { addMember, changeMember, findMember, lockMember, takeRoleOfToken, type Written } from '../store/members.ts';
import type { Member, UsersSchema } from '../store/schema.ts';
import { profilePatch } from './fields.ts';
import { sendProfile } from './profile-json.ts';
import type { RouteParts } from './route-parts.ts';

/** Routes for the caller's own profile. */
export function meRoutes({ db, stamp }: RouteParts): Router {
  const router = createRouter();

  router.get('/v1/users/me', async (req, res) => {
    const user = userOf(req);
    sendProfile(res, await inTenant(db, user.tenantId, (trx) => ownMember(trx, user, stamp())));
  });

  router.patch('/v1/users/me', async (req, res) => {
    const user = userOf(req);
    const wanted = profilePatch.parse(jsonBody(req));
    const member = await inTenant(db, user.tenantId, async (trx) => {
      await ownMember(trx, user, stamp());
      const current = await lockMember(trx, user.userId);
      if (current === undefined) throw new Error('the caller has no row right after it was made');
      assertIfMatch(req, current.revision);
      const changes = changesTo(current, wanted);
      return changes === undefined ? current : changeMember(trx, user.userId, changes, stamp());
    });
    sendProfile(res, member);
  });

  return router;
}

/**
 * Returns the caller's row. The auth-service owns memberships and roles, and sends news of every change. Until the first
 * news of a member arrive, the role of the latest token applies.
 */
async function ownMember(trx: Transaction<UsersSchema>, user: UserIdentity, written: Written): Promise<Member> {
  const known = await findMember(trx, user.userId);
  if (known !== undefined && (known.sequence > 0 || known.role === user.role)) return known;
  if (known !== undefined) await takeRoleOfToken(trx, user.userId, user.role, written);
  else {
    await addMember(trx, {
      tenant_id: user.tenantId,
      user_id: user.userId,
      role: user.role,
      email: null,
      display_name: null,
      folded_name: '',
      revision: written.revision,
      created_at: written.at,
      updated_at: written.at,
    });
  }
  const member = await findMember(trx, user.userId);
  if (member === undefined) throw new Error('the caller has no row right after it was made');
  return member;
}
