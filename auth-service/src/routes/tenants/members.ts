import { createRouter, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { changeMember } from '../../flows/tenants/change-member.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { endpoint } from '../endpoint.ts';
import { roleName } from '../fields.ts';
import { adminOf, pathId } from './tenant-admin.ts';

const status = z.enum(['active', 'disabled']);

export const changeMemberEndpoint = endpoint({
  method: 'patch',
  path: '/v1/auth/tenants/:id/members/:userId',
  operationId: 'changeMember',
  tag: 'Tenants',
  summary: 'Change the role or status of a member',
  description: 'For administrators. The member’s sessions in the tenant end.',
  callers: ['user'],
  body: z
    .strictObject({ role: roleName.optional(), status: status.optional() })
    .refine(({ role, status: state }) => role !== undefined || state !== undefined, 'must name a role or a status'),
  responses: {
    200: z.object({ tenant_id: z.string(), user_id: z.string(), email: z.string(), role: z.string(), status }),
  },
  errors: ['insufficient_role', 'tenant_mismatch', 'not_found', 'last_admin'],
});

export function memberRoutes({ db }: Readonly<{ db: AuthDatabase }>): Router {
  const router = createRouter();
  serve(router, changeMemberEndpoint, async ({ req, res, identity, body: wanted }) => {
    const admin = adminOf(identity, res, pathId(req, 'id'));
    const member = await changeMember(db, admin, { userId: pathId(req, 'userId'), wanted });
    const { userId: user_id, email, role, status: state } = member;
    res.set('cache-control', 'no-store').json({ tenant_id: admin.tenantId, user_id, email, role, status: state });
  });
  return router;
}
