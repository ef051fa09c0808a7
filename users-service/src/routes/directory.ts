import { idField, ifNoneMatchField, paginate, readerTenantOf } from '@countersign/service-kit';
import { z } from 'zod';
import { encodeCursor } from '../domain/cursor.ts';
import { directoryRoles, directoryScope, maySee } from '../domain/profile.ts';
import { AppError } from '../errors.ts';
import { findMember, listMembers } from '../store/members.ts';
import { inTenant } from '../store/schema.ts';
import { directoryQuery, profile, profileJson, profileResponse, sendProfile } from './profile-json.ts';
import { route } from './route.ts';

export const directoryRoutes = [
  route('GET /v1/users', {
    operationId: 'listUsers',
    tag: 'Users',
    summary: 'List the members of your tenant',
    description:
      'For agents, administrators, and OAuth clients with the scope `users.read`. Sorted by name. Unknown and repeated parameters are refused.',
    callers: ['user', 'client'],
    query: directoryQuery,
    responses: { 200: z.object({ items: z.array(profile), next_cursor: z.string().nullable() }) },
    errors: ['insufficient_role', 'insufficient_scope'],
  }).handle(async ({ identity, query, reply }, { db }) => {
    const { role, q, cursor, limit } = query;
    const filter = { role, part: q, after: cursor, limit: limit + 1 };
    if (identity.kind === 'user' && !directoryRoles.includes(identity.role)) throw new AppError('insufficient_role');
    const tenantId = readerTenantOf(identity, directoryScope);
    const found = await inTenant(db, tenantId, (trx) => listMembers(trx, filter));
    const { rows, nextCursor } = paginate(found, limit, encodeCursor);
    reply(200, { items: rows.map(profileJson), next_cursor: nextCursor });
  }),

  route('GET /v1/users/:id', {
    operationId: 'readUser',
    tag: 'Users',
    summary: "Read a member's profile",
    description:
      'Agents and administrators can read all members of their tenant. Other users can read only themselves, and get 404 for others.',
    callers: ['user'],
    params: z.object({ id: idField }),
    headers: z.object(ifNoneMatchField),
    responses: { 200: profileResponse, 304: null },
    errors: ['not_found'],
  }).handle(async ({ res, identity, params }, { db }) => {
    // Unknown users, users in other tenants and users hidden from the caller get the same response, which reveals
    // nothing.
    if (!maySee(identity, params.id)) throw new AppError('not_found');
    const member = await inTenant(db, identity.tenantId, (trx) => findMember(trx, params.id));
    if (member === undefined) throw new AppError('not_found');
    sendProfile(res, member);
  }),
];
