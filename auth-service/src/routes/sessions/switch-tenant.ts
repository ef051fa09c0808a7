import { createRouter, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { AdmitParts } from '../../flows/sessions/admit.ts';
import { switchTenant } from '../../flows/sessions/switch-tenant.ts';
import { callerOf, inSessionOf } from '../caller.ts';
import { endpoint } from '../endpoint.ts';
import { tenantIdField, transport } from '../fields.ts';
import { admissionResponses, answerAdmission } from './admission-answer.ts';
import { type BrowserParts, refuseForeignPage } from './browser.ts';
import type { TokenSigner } from './token-answer.ts';

export const switchTenantEndpoint = endpoint({
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
});

export function switchTenantRoutes(parts: AdmitParts & TokenSigner & BrowserParts): Router {
  const router = createRouter();
  serve(router, switchTenantEndpoint, async ({ req, res, identity, body }) => {
    refuseForeignPage(parts, req, body.transport);
    const session = inSessionOf(identity);
    if (session === undefined) throw new AppError('session_revoked');
    const given = { tenantId: body.tenant_id, transport: body.transport };
    await answerAdmission(req, res, parts, await switchTenant(parts, session, given, callerOf(req, res, identity)));
  });
  return router;
}
