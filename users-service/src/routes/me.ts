import type { UserIdentity } from '@countersign/identity';
import { assertIfMatch, ifMatchField, ifNoneMatchField } from '@countersign/service-kit';
import type { Transaction } from 'kysely';
import { z } from 'zod';
import { changesTo } from '../domain/profile.ts';
import { inTenant } from '../store/in-tenant.ts';
import { addMember, changeMember, findMember, lockMember, takeRoleOfToken, type Written } from '../store/members.ts';
import type { Member, UsersSchema } from '../store/schema.ts';
import { profilePatch } from './fields.ts';
import { profileResponse, sendProfile } from './profile-json.ts';
import { route } from './route.ts';

export const meRoutes = [
  route({
    method: 'get',
    path: '/v1/users/me',
    operationId: 'readOwnProfile',
    tag: 'Users',
    summary: 'Read your own profile',
    callers: ['user'],
    headers: z.object(ifNoneMatchField),
    responses: { 200: profileResponse, 304: null },
    errors: [],
  }).handle(async ({ res, identity: user }, { db, stamp }) => {
    sendProfile(res, await inTenant(db, user.tenantId, (trx) => ownMember(trx, user, stamp())));
  }),

  route({
    method: 'patch',
    path: '/v1/users/me',
    operationId: 'changeOwnProfile',
    tag: 'Users',
    summary: 'Change your own profile',
    description: '`null` removes a value. Omitted fields stay unchanged.',
    callers: ['user'],
    headers: z.object(ifMatchField),
    body: profilePatch,
    responses: { 200: profileResponse },
    errors: ['precondition_failed'],
  }).handle(async ({ req, res, identity: user, body: wanted }, { db, stamp }) => {
    const member = await inTenant(db, user.tenantId, async (trx) => {
      await ownMember(trx, user, stamp());
      const current = await lockMember(trx, user.userId);
      if (current === undefined) throw new Error('the caller has no row right after it was created');
      assertIfMatch(req)(current.revision);
      const changes = changesTo(current, wanted);
      return changes === undefined ? current : changeMember(trx, user.userId, changes, stamp());
    });
    sendProfile(res, member);
  }),
];

/**
 * Returns the caller's row. The auth-service owns memberships and roles, and sends every change. Before a member's
 * first update, the role in the latest token applies.
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
  if (member === undefined) throw new Error('the caller has no row right after it was created');
  return member;
}
