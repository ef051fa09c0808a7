import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { switchTenant } from '../../flows/sessions/switch-tenant.ts';
import { callerOf, inSessionOf } from '../caller.ts';
import { tenantIdField, transport } from '../fields.ts';
import { route } from '../route.ts';
import { admissionResponses, answerAdmission } from './admission-answer.ts';
import { refuseForeignPage } from './browser.ts';

export const switchTenantRoutes = [
  route({
    method: 'post',
    path: '/v1/auth/sessions/switch-tenant',
    operationId: 'switchTenant',
    tag: 'Sessions',
    summary: 'Start a session in another of your tenants',
    description: 'You do not log in again.',
    callers: ['user'],
    body: z.strictObject({ tenant_id: tenantIdField, transport }),
    ...admissionResponses,
    errors: ['not_a_member', 'mfa_required', 'session_revoked', 'cross_site_refused', 'too_many_attempts'],
  }).handle(async ({ req, res, identity, body }, parts) => {
    refuseForeignPage(parts, req, body.transport);
    const session = inSessionOf(identity);
    if (session === undefined) throw new AppError('session_revoked');
    const given = { tenantId: body.tenant_id, transport: body.transport };
    await answerAdmission(req, res, parts, await switchTenant(parts, session, given, callerOf(req, res, identity)));
  }),
];
