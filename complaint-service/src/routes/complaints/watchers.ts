import { createRouter, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { reachComplaint } from '../../flows/complaints/reach-complaint.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { addWatcher, listWatchers, removeWatcher } from '../../store/complaints/watchers.ts';
import { asUser } from '../../store/scope.ts';
import { endpoint } from '../endpoint.ts';
import { complaintPath } from '../fields.ts';
import { displayName } from './complaint-json.ts';

const watching = {
  path: '/v1/complaints/:id/watching',
  tag: 'Complaints',
  callers: ['user'],
  params: complaintPath,
  responses: { 204: null },
  errors: ['insufficient_role', 'complaint_locked'],
} as const;

export const watchEndpoint = endpoint({
  ...watching,
  method: 'put',
  operationId: 'watchComplaint',
  summary: 'Hear of changes of a complaint',
});

export const unwatchEndpoint = endpoint({
  ...watching,
  method: 'delete',
  operationId: 'unwatchComplaint',
  summary: 'Stop hearing of changes of a complaint',
});

export const listWatchersEndpoint = endpoint({
  method: 'get',
  path: '/v1/complaints/:id/watchers',
  operationId: 'listWatchers',
  tag: 'Complaints',
  summary: 'List the watchers of a complaint. Complainants see only themselves',
  callers: ['user'],
  params: complaintPath,
  responses: { 200: z.object({ items: z.array(z.object({ user_id: z.string(), name: displayName })) }) },
  errors: ['insufficient_role'],
});

/** Routes for the watchers of a complaint. Its complainant and its assignees are watchers from the start. */
export function watcherRoutes(parts: FlowParts): Router {
  const router = createRouter();

  serve(router, watchEndpoint, async ({ identity, params, reply }) => {
    await asUser(parts.db, identity, async (trx) => {
      await addWatcher(trx, await reachComplaint(trx, params.id, 'change'), identity.userId, parts.now());
    });
    reply(204);
  });

  serve(router, unwatchEndpoint, async ({ identity, params, reply }) => {
    await asUser(parts.db, identity, async (trx) => {
      await removeWatcher(trx, await reachComplaint(trx, params.id, 'change'), identity.userId);
    });
    reply(204);
  });

  serve(router, listWatchersEndpoint, async ({ identity, params, reply }) => {
    const ids = await asUser(parts.db, identity, async (trx) => {
      const { id } = await reachComplaint(trx, params.id, 'read');
      return listWatchers(trx, id);
    });
    const names = await parts.people.namesOf(identity, ids);
    reply(200, { items: ids.map((id) => ({ user_id: id, name: names.get(id) ?? null })) });
  });

  return router;
}
