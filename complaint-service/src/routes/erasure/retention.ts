import { assertFreshLogin } from '@countersign/service-kit';
import { z } from 'zod';
import { readPolicy, savePolicy, usualPolicy } from '../../store/erasure/requests.ts';
import { asUser } from '../../store/scope.ts';
import { route } from '../route.ts';

const shared = { tag: 'Erasure', callers: ['user'], roles: ['admin'], path: '/v1/complaints/retention' } as const;

export const keptTexts = z.enum(['keep', 'remove']).describe("Whether an erased person's texts are kept.");

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

export const retentionRoutes = [
  route({
    ...shared,
    method: 'get',
    operationId: 'readRetention',
    summary: 'Read the retention policy for finished complaints',
    responses: { 200: policy },
    errors: [],
  }).handle(async ({ identity, reply }, { db }) => {
    const found = (await asUser(db, identity, readPolicy)) ?? usualPolicy;
    reply(200, { closed_days: found.closed_days, action: found.action, texts: found.texts });
  }),

  route({
    ...shared,
    method: 'put',
    operationId: 'changeRetention',
    summary: 'Change the retention policy for finished complaints',
    description: 'Requires a login within the last five minutes.',
    body: z.strictObject(policyFields).meta({ examples: [{ closed_days: 730, action: 'anonymise', texts: 'remove' }] }),
    responses: { 200: policy },
    errors: ['fresh_login_required'],
  }).handle(async ({ identity, body, reply }, { db, now }) => {
    assertFreshLogin(identity.context.authTime, now());
    const changed = { ...body, tenant_id: identity.tenantId, updated_by: identity.userId, updated_at: now() };
    const saved = await asUser(db, identity, (trx) => savePolicy(trx, changed));
    reply(200, { closed_days: saved.closed_days, action: saved.action, texts: saved.texts });
  }),
];
