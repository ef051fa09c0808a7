import { save } from '@countersign/database';
import { assertFreshLogin, idField, jsonOf, namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { isPersonId } from '../domain/people.ts';
import { cancelScheduled, previewErasure, scheduleErasure } from '../flows/erasure.ts';
import { listErasures, readPolicy, usualPolicy } from '../store/erasure/erase.ts';
import { asUser } from '../store/schema.ts';
import type { Erasure } from '../store/tables.ts';
import { complaintPath, route, time } from './route.ts';

const shared = { tag: 'Erasure', callers: ['user'], roles: ['admin'] } as const;

const keptTexts = z.enum(['keep', 'remove']).describe("Whether an erased person's texts are kept.");

const policyFields = {
  closed_days: z
    .int()
    .min(1)
    .max(36_500)
    .nullable()
    .describe('How many days finished complaints are kept after their last change. Null keeps them forever.'),
  action: z
    .enum(['anonymise', 'delete'])
    .describe('`anonymise` removes people, texts, comments and attachments, and keeps the statistics.'),
  texts: keptTexts,
};

const policy = z.object(policyFields).meta({ id: 'RetentionPolicy' });

const path = '/v1/complaints/erasures';
const shownErasures = 100;

const person = z.strictObject({ user_id: idField.refine(isPersonId, 'is not a valid person id') });

const preview = namedObject('ErasurePreview', {
  user_id: z.string(),
  member: z
    .string()
    .nullable()
    .describe('An `active` member cannot be erased. Null if the person is no longer a member.'),
  texts: keptTexts,
  complaints: z.int().describe("The person's own complaints."),
  active_complaints: z.int().describe("The person's active complaints, which are withdrawn if texts are removed."),
  assigned_complaints: z.int().describe('Active complaints assigned to the person, which return to the queue.'),
  comments: z.int().describe('With `remove`, also those of others on their complaints.'),
  attachments: z.int().describe('With `remove`, also those of others on their complaints.'),
  history_entries: z.int(),
});

const erasure = namedObject('Erasure', {
  id: z.uuid(),
  kind: z.enum(['person', 'retention']),
  user_id: z.string().nullable(),
  texts: keptTexts.nullable(),
  requested_by: z.string().nullable().describe('Null for erasures by the retention policy.'),
  session_id: z.string().nullable().describe('The session that requested the erasure.'),
  request_id: z.string().nullable().describe('The request id, as it appears in the logs.'),
  requested_at: time,
  due_at: time.describe('When the erasure runs. It can be canceled until then.'),
  cancelled_at: time.nullable(),
  cancelled_by: z
    .string()
    .nullable()
    .describe('An admin, or `complaint-service` if the person became an active member again.'),
  finished_at: time.nullable(),
  complaints: z.int(),
  comments: z.int(),
  attachments: z.int(),
});

export const erasureRoutes = [
  route('GET /v1/complaints/retention', {
    ...shared,
    operationId: 'readRetention',
    summary: 'Read the retention policy for finished complaints',
    responses: { 200: policy },
  }).handle(async ({ identity, reply }, { db }) => {
    const found = (await asUser(db, identity, readPolicy)) ?? usualPolicy;
    reply(200, { closed_days: found.closed_days, action: found.action, texts: found.texts });
  }),

  route('PUT /v1/complaints/retention', {
    ...shared,
    operationId: 'changeRetention',
    summary: 'Change the retention policy for finished complaints',
    description: 'Requires a login within the last five minutes.',
    body: z.strictObject(policyFields).meta({ examples: [{ closed_days: 730, action: 'anonymise', texts: 'remove' }] }),
    responses: { 200: policy },
    errors: ['fresh_login_required'],
  }).handle(async ({ identity, body, reply }, { db, now }) => {
    assertFreshLogin(identity.context.authTime, now());
    const changed = { ...body, tenant_id: identity.tenantId, updated_by: identity.userId, updated_at: now() };
    await asUser(db, identity, (trx) => save(trx, 'retention_policies', 'tenant_id', changed));
    reply(200, body);
  }),
  route(`GET ${path}/preview`, {
    ...shared,
    operationId: 'previewErasure',
    summary: "Preview a person's erasure",
    query: person,
    responses: { 200: preview },
    errors: ['not_found', 'people_unavailable'],
  }).handle(async ({ identity, query, reply }, parts) => {
    const { member, texts, traces } = await previewErasure(parts, identity, query.user_id);
    reply(200, { user_id: query.user_id, member, texts, ...traces });
  }),

  route(`POST ${path}`, {
    ...shared,
    operationId: 'erasePerson',
    summary: 'Schedule the erasure of a person',
    description:
      'Requires a login within the last five minutes, and a disabled account. The erasure runs at `due_at`, and can be canceled until then. It removes the name, contact details and attachments of the person. Active complaints assigned to them return to the queue. Unless the policy keeps texts, those are removed too: their own complaints are withdrawn and anonymized.',
    body: person.meta({ examples: [{ user_id: '01936f00-0000-7000-8000-000000000011' }] }),
    responses: { 202: erasure },
    errors: ['fresh_login_required', 'not_found', 'member_active', 'erasure_scheduled', 'people_unavailable'],
  }).handle(async ({ identity, body, reply }, parts) => {
    assertFreshLogin(identity.context.authTime, parts.now());
    reply(202, erasureJson(await scheduleErasure(parts, identity, body.user_id)));
  }),

  route(`POST ${path}/:id/cancel`, {
    ...shared,
    operationId: 'cancelErasure',
    summary: 'Cancel an erasure that is not due yet',
    params: complaintPath,
    responses: { 200: erasure },
    errors: ['erasure_not_cancellable'],
  }).handle(async ({ identity, params, reply }, parts) => {
    reply(200, erasureJson(await cancelScheduled(parts, identity, params.id)));
  }),

  route(`GET ${path}`, {
    ...shared,
    operationId: 'listErasures',
    summary: `List the latest ${shownErasures} erasures: scheduled, canceled and completed`,
    responses: { 200: z.object({ items: z.array(erasure) }) },
  }).handle(async ({ identity, reply }, parts) => {
    const found = await asUser(parts.db, identity, (trx) => listErasures(trx, shownErasures));
    reply(200, { items: found.map(erasureJson) });
  }),
];

const erasureJson = (row: Erasure) => jsonOf(erasure, row);
