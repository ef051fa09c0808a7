import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { findSettings, saveSettings } from '../../store/catalogue/settings.ts';
import { asUser } from '../../store/scope.ts';
import { route } from '../route.ts';

const openCatalogue = z
  .boolean()
  .describe('Whether agents and admins can add a category by using a new name in a complaint. The default is false.');

const settings = z.object({ open_catalogue: openCatalogue }).meta({ id: 'ComplaintSettings' });

export const settingsRoutes = [
  route({
    method: 'get',
    path: '/v1/complaint-settings',
    operationId: 'readComplaintSettings',
    tag: 'Catalogue',
    summary: "Read the tenant's settings",
    callers: ['user'],
    roles: staffRoles,
    responses: { 200: settings },
    errors: [],
  }).handle(async ({ identity, reply }, { db }) => {
    const found = await asUser(db, identity, findSettings);
    reply(200, { open_catalogue: found?.open_catalogue ?? false });
  }),

  route({
    method: 'patch',
    path: '/v1/complaint-settings',
    operationId: 'changeComplaintSettings',
    tag: 'Catalogue',
    summary: "Change the tenant's settings",
    callers: ['user'],
    roles: ['admin'],
    body: z.strictObject({ open_catalogue: openCatalogue }),
    responses: { 200: settings },
    errors: [],
  }).handle(async ({ identity, body, reply }, { db, newId, now }) => {
    const saved = { tenant_id: identity.tenantId, ...body, revision: newId(), updated_at: now() };
    await asUser(db, identity, (trx) => saveSettings(trx, saved));
    reply(200, body);
  }),
];
