import { z } from 'zod';
import { changeMember } from '../../flows/tenants/change-member.ts';
import { roleName } from '../fields.ts';
import { route } from '../route.ts';
import { adminOf, pathId } from './tenant-admin.ts';

const status = z.enum(['active', 'disabled']);

export const memberRoutes = [
  route({
    method: 'patch',
    path: '/v1/auth/tenants/:id/members/:userId',
    operationId: 'changeMember',
    tag: 'Tenants',
    summary: "Change a member's role or status",
    description: "Ends the member's sessions in the tenant. Requires the `admin` role.",
    callers: ['user'],
    body: z
      .strictObject({ role: roleName.optional(), status: status.optional() })
      .refine(
        ({ role, status: state }) => role !== undefined || state !== undefined,
        'must contain a role or a status',
      ),
    responses: {
      200: z.object({ tenant_id: z.string(), user_id: z.string(), email: z.string(), role: z.string(), status }),
    },
    errors: ['insufficient_role', 'tenant_mismatch', 'not_found', 'last_admin'],
  }).handle(async ({ req, res, identity, body: wanted, reply }, { db }) => {
    const admin = adminOf(identity, res, pathId(req, 'id'));
    const member = await changeMember(db, admin, { userId: pathId(req, 'userId'), wanted });
    const { userId: user_id, email, role, status: state } = member;
    reply(200, { tenant_id: admin.tenantId, user_id, email, role, status: state });
  }),
];
