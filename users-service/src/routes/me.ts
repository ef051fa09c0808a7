import type { UserIdentity } from '@countersign/identity';
import { assertIfMatch, ifMatchField, ifNoneMatchField } from '@countersign/service-kit';
import { z } from 'zod';
import { changesTo } from '../domain/profile.ts';
import { addMember, changeMember, findMember, lockMember, takeRoleOfToken } from '../store/members.ts';
import { inTenant, type Member, type Trx } from '../store/schema.ts';
import { profilePatch, profileResponse, sendProfile } from './profile-json.ts';
import { route } from './route.ts';

export const meRoutes = [
  route('GET /v1/users/me', {
    operationId: 'readOwnProfile',
    tag: 'Users',
    summary: 'Read your own profile',
    callers: ['user'],
    headers: z.object(ifNoneMatchField),
    responses: { 200: profileResponse, 304: null },
  }).handle(async ({ res, identity: user }, { db }) => {
    sendProfile(res, await inTenant(db, user.tenantId, (trx) => ownMember(trx, user)));
  }),

  route('PATCH /v1/users/me', {
    operationId: 'changeOwnProfile',
    tag: 'Users',
    summary: 'Change your own profile',
    description: '`null` removes a value. Omitted fields stay unchanged.',
    callers: ['user'],
    headers: z.object(ifMatchField),
    body: profilePatch,
    responses: { 200: profileResponse },
    errors: ['precondition_failed'],
  }).handle(async ({ req, res, identity: user, body: wanted }, { db }) => {
    const member = await inTenant(db, user.tenantId, async (trx) => {
      await ownMember(trx, user);
      const current = await lockMember(trx, user.userId);
      assertIfMatch(req)(current.revision);
      const changes = changesTo(current, wanted);
      return changes === undefined ? current : changeMember(trx, user.userId, changes);
    });
    sendProfile(res, member);
  }),
];

/**
 * Returns the caller's row. The auth-service owns memberships and roles, and sends every change. Before a member's
 * first update, the role in the latest token applies.
 */
async function ownMember(trx: Trx, { tenantId, userId, role }: UserIdentity): Promise<Member> {
  const known = await findMember(trx, userId);
  if (known !== undefined && (known.sequence > 0 || known.role === role)) return known;
  if (known === undefined) await addMember(trx, { tenant_id: tenantId, user_id: userId, role });
  else await takeRoleOfToken(trx, userId, role);
  const member = await findMember(trx, userId);
  if (member === undefined) throw new Error('the caller has no row right after it was created');
  return member;
}
