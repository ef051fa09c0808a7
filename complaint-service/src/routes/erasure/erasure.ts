import { createRouter, idField, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { isPersonId } from '../../domain/people.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { insertErasure, listErasures, readPolicy, savePolicy } from '../../store/erasure/requests.ts';
import type { Erasure } from '../../store/schema/erasure.ts';
import { asUser } from '../../store/scope.ts';
import { endpoint } from '../endpoint.ts';
import { time } from '../fields.ts';

const shared = { tag: 'Erasure', callers: ['user'], roles: ['admin'] } as const;
const shownErasures = 100;

const policyFields = {
  closed_days: z
    .int()
    .min(1)
    .max(36_500)
    .nullable()
    .describe('Days after the last change of a finished complaint. Null keeps them for ever.'),
  action: z
    .enum(['anonymise', 'delete'])
    .describe('`anonymise` removes people, texts, comments and attachments, and keeps what statistics count.'),
  texts: z.enum(['keep', 'remove']).describe('Whether the texts of an erased person stay.'),
};

const policy = z.object(policyFields).meta({ id: 'RetentionPolicy' });

const erasure = z
  .object({
    id: z.uuid(),
    kind: z.enum(['person', 'retention']),
    user_id: z.string().nullable(),
    requested_by: z.string().nullable().describe('Null for what the retention policy erased.'),
    requested_at: time,
    finished_at: time.nullable(),
    complaints: z.int(),
    comments: z.int(),
    attachments: z.int(),
  })
  .meta({ id: 'Erasure' });

export const readRetentionEndpoint = endpoint({
  ...shared,
  method: 'get',
  path: '/v1/complaints/retention',
  operationId: 'readRetention',
  summary: 'Read how long finished complaints are kept',
  responses: { 200: policy },
  errors: [],
});

export const changeRetentionEndpoint = endpoint({
  ...shared,
  method: 'put',
  path: '/v1/complaints/retention',
  operationId: 'changeRetention',
  summary: 'Change how long finished complaints are kept',
  body: z.strictObject(policyFields).meta({ examples: [{ closed_days: 730, action: 'anonymise', texts: 'remove' }] }),
  responses: { 200: policy },
  errors: [],
});

export const erasePersonEndpoint = endpoint({
  ...shared,
  method: 'post',
  path: '/v1/complaints/erasures',
  operationId: 'erasePerson',
  summary: 'Erase a person from all complaints',
  description:
    'Removes their name, contact and attachments. Their active complaints as an agent return to the queue. Their texts go too, unless the policy keeps them: their own complaints are then withdrawn and anonymised. It runs in the background. Disable the account first: what they do later is recorded again.',
  body: z
    .strictObject({ user_id: idField.refine(isPersonId, 'is not the id of a person') })
    .meta({ examples: [{ user_id: '01936f00-0000-7000-8000-000000000011' }] }),
  responses: { 202: erasure },
  errors: [],
});

export const listErasuresEndpoint = endpoint({
  ...shared,
  method: 'get',
  path: '/v1/complaints/erasures',
  operationId: 'listErasures',
  summary: `List the latest ${shownErasures} erasures`,
  responses: { 200: z.object({ items: z.array(erasure) }) },
  errors: [],
});

const usual: z.output<typeof policy> = { closed_days: null, action: 'anonymise', texts: 'remove' };

/** Routes with which admins decide what is kept, and have people erased. */
export function erasureRoutes({ db, newId, now }: FlowParts): Router {
  const router = createRouter();

  serve(router, readRetentionEndpoint, async ({ identity, reply }) => {
    const found = (await asUser(db, identity, readPolicy)) ?? usual;
    reply(200, { closed_days: found.closed_days, action: found.action, texts: found.texts });
  });

  serve(router, changeRetentionEndpoint, async ({ identity, body, reply }) => {
    const changed = { ...body, tenant_id: identity.tenantId, updated_by: identity.userId, updated_at: now() };
    const saved = await asUser(db, identity, (trx) => savePolicy(trx, changed));
    reply(200, { closed_days: saved.closed_days, action: saved.action, texts: saved.texts });
  });

  serve(router, erasePersonEndpoint, async ({ identity, body, reply }) => {
    const added = await asUser(db, identity, async (trx) => {
      const { texts } = (await readPolicy(trx)) ?? usual;
      return insertErasure(trx, {
        tenant_id: identity.tenantId,
        id: newId(),
        kind: 'person',
        user_id: body.user_id,
        texts,
        requested_by: identity.userId,
        requested_at: now(),
        finished_at: null,
      });
    });
    reply(202, erasureJson(added));
  });

  serve(router, listErasuresEndpoint, async ({ identity, reply }) => {
    const found = await asUser(db, identity, (trx) => listErasures(trx, shownErasures));
    reply(200, { items: found.map(erasureJson) });
  });

  return router;
}

function erasureJson(row: Erasure): z.output<typeof erasure> {
  return {
    id: row.id,
    kind: row.kind,
    user_id: row.user_id,
    requested_by: row.requested_by,
    requested_at: row.requested_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
    complaints: row.complaints,
    comments: row.comments,
    attachments: row.attachments,
  };
}
