import { z } from 'zod';
import { getComplaint } from '../../flows/complaints/get-complaint.ts';
import { addWatcher, listWatchers, removeWatcher } from '../../store/complaints/watchers.ts';
import { asUser } from '../../store/scope.ts';
import { complaintPath } from '../fields.ts';
import { route } from '../route.ts';
import { displayName } from './complaint-json.ts';

const watching = {
  path: '/v1/complaints/:id/watching',
  tag: 'Complaints',
  callers: ['user'],
  params: complaintPath,
  responses: { 204: null },
  errors: ['insufficient_role', 'complaint_locked'],
} as const;

/** The complainant and assignees watch a complaint automatically. */
export const watcherRoutes = [
  route({
    ...watching,
    method: 'put',
    operationId: 'watchComplaint',
    summary: 'Watch a complaint',
  }).handle(async ({ identity, params, reply }, parts) => {
    await asUser(parts.db, identity, async (trx) => {
      await addWatcher(trx, await getComplaint(trx, params.id, 'change'), identity.userId, parts.now());
    });
    reply(204);
  }),

  route({
    ...watching,
    method: 'delete',
    operationId: 'unwatchComplaint',
    summary: 'Stop watching a complaint',
  }).handle(async ({ identity, params, reply }, parts) => {
    await asUser(parts.db, identity, async (trx) => {
      await removeWatcher(trx, await getComplaint(trx, params.id, 'change'), identity.userId);
    });
    reply(204);
  }),

  route({
    method: 'get',
    path: '/v1/complaints/:id/watchers',
    operationId: 'listWatchers',
    tag: 'Complaints',
    summary: "List a complaint's watchers",
    callers: ['user'],
    params: complaintPath,
    responses: { 200: z.object({ items: z.array(z.object({ user_id: z.string(), name: displayName })) }) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, params, reply }, parts) => {
    const ids = await asUser(parts.db, identity, async (trx) => {
      const { id } = await getComplaint(trx, params.id, 'read');
      return listWatchers(trx, id);
    });
    const names = await parts.people.namesOf(identity, ids);
    reply(200, { items: ids.map((id) => ({ user_id: id, name: names.get(id) ?? null })) });
  }),
];
