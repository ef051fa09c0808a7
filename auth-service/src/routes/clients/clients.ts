import { lineField, paginate, paginationFields } from '@countersign/service-kit';
import { z } from 'zod';
import { clientKeySet } from '../../domain/clients/client-keys.ts';
import {
  defaultSecretOverlapSec,
  grantTypes,
  isClientId,
  maxScopes,
  maxSecretOverlapSec,
} from '../../domain/clients/client-rules.ts';
import { AppError } from '../../errors.ts';
import {
  type ClientWithSecret,
  changeClient,
  createClient,
  everyClient,
  type ManagedClient,
  readClient,
  removeClient,
} from '../../flows/clients/manage-clients.ts';
import { endSecret, rotateSecret } from '../../flows/clients/rotate-secret.ts';
import { route } from '../route.ts';
import { adminOf } from '../tenants/tenant-admin.ts';

const grantTypeList = z.array(z.enum(grantTypes)).min(1).max(grantTypes.length);
const scopeList = z.array(z.string()).max(maxScopes);
const revokeTokens = z.boolean().default(false).describe('Revokes all tokens of the client immediately.');

const client = z
  .object({
    client_id: z.string(),
    name: z.string(),
    scopes: scopeList,
    grant_types: grantTypeList,
    status: z.enum(['active', 'disabled']),
    jwks: clientKeySet.nullable().describe('Null for a client that authenticates with a secret.'),
    secrets: z.array(
      z.object({
        id: z.uuid(),
        created_at: z.iso.datetime(),
        expires_at: z.iso.datetime().nullable(),
        last_used_at: z.iso.datetime().nullable(),
      }),
    ),
    created_by: z.string().nullable(),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime().nullable().describe('To the minute.'),
  })
  .meta({ id: 'Client' });

const clientWithSecret = client
  .extend({ client_secret: z.string().optional().describe('Shown only once. Absent for a client with keys.') })
  .meta({ id: 'ClientWithSecret' });

const ofTenant = z.object({ id: z.string() });
const ofClient = z.object({ id: z.string(), clientId: z.string().refine(isClientId) });
const ofSecret = ofClient.extend({ secretId: z.uuid() });
const forAdmins = { tag: 'Clients', callers: ['user'] } as const;
const adminErrors = ['insufficient_role', 'tenant_mismatch'] as const;

export const clientRoutes = [
  route({
    ...forAdmins,
    method: 'post',
    path: '/v1/auth/tenants/:id/clients',
    operationId: 'createClient',
    summary: 'Create an OAuth client in your tenant (administrators only)',
    description: 'Without `jwks` the client gets a secret. Scopes must be listed in AUTH_SCOPES.',
    params: ofTenant,
    body: z
      .strictObject({
        name: lineField(100),
        scopes: scopeList,
        grant_types: grantTypeList.default(['client_credentials']),
        jwks: clientKeySet.optional(),
      })
      .meta({ examples: [{ name: 'Nightly export', scopes: ['complaints.read'] }] }),
    responses: { 201: clientWithSecret },
    errors: adminErrors,
  }).handle(async ({ res, identity, params, body, reply }, { db, scopes: known }) => {
    const { name, scopes, grant_types, jwks } = body;
    const wanted = { name, scopes: knownScopes(known, scopes), grantTypes: grant_types, keys: jwks };
    const created = await createClient(db, adminOf(identity, res, params.id), wanted);
    res.location(`/v1/auth/tenants/${params.id}/clients/${created.client.id}`);
    reply(201, withSecret(created));
  }),

  route({
    ...forAdmins,
    method: 'get',
    path: '/v1/auth/tenants/:id/clients',
    operationId: 'listClients',
    summary: 'List the OAuth clients of your tenant, newest first (administrators only)',
    params: ofTenant,
    query: z.strictObject(paginationFields({ maxLength: 43, decode: (text) => (isClientId(text) ? text : undefined) })),
    responses: { 200: z.object({ items: z.array(client), next_cursor: z.string().nullable() }) },
    errors: adminErrors,
  }).handle(async ({ res, identity, params, query, reply }, { db }) => {
    const { tenantId } = adminOf(identity, res, params.id);
    const { cursor: before, limit } = query;
    const found = await everyClient(db, tenantId, { before, limit: limit + 1 });
    const { rows, nextCursor } = paginate(found, limit, ({ client: { id } }) => id);
    reply(200, { items: rows.map(toJson), next_cursor: nextCursor });
  }),

  route({
    ...forAdmins,
    method: 'get',
    path: '/v1/auth/tenants/:id/clients/:clientId',
    operationId: 'readClient',
    summary: 'Read an OAuth client (administrators only)',
    params: ofClient,
    responses: { 200: client },
    errors: adminErrors,
  }).handle(async ({ res, identity, params, reply }, { db }) => {
    const { tenantId } = adminOf(identity, res, params.id);
    reply(200, toJson(await readClient(db, tenantId, params.clientId)));
  }),

  route({
    ...forAdmins,
    method: 'patch',
    path: '/v1/auth/tenants/:id/clients/:clientId',
    operationId: 'changeClient',
    summary: 'Change, disable or enable an OAuth client (administrators only)',
    description:
      'Disabling a client, or removing a scope or grant type, revokes its tokens immediately. `jwks` replaces its keys and secrets.',
    params: ofClient,
    body: z
      .strictObject({
        name: lineField(100).optional(),
        scopes: scopeList.optional(),
        grant_types: grantTypeList.optional(),
        status: z.enum(['active', 'disabled']).optional(),
        jwks: clientKeySet.optional(),
        revoke_tokens: revokeTokens,
      })
      .meta({ examples: [{ status: 'disabled' }] }),
    responses: { 200: client },
    errors: adminErrors,
  }).handle(async ({ res, identity, params, body, reply }, { db, scopes: known }) => {
    const { name, scopes, grant_types, status, jwks, revoke_tokens } = body;
    const wanted = {
      ...(name !== undefined && { name }),
      ...(scopes !== undefined && { scopes: knownScopes(known, scopes) }),
      ...(grant_types !== undefined && { grantTypes: grant_types }),
      ...(status !== undefined && { status }),
      ...(jwks !== undefined && { keys: jwks }),
      revokeTokens: revoke_tokens,
    };
    reply(200, toJson(await changeClient(db, adminOf(identity, res, params.id), params.clientId, wanted)));
  }),

  route({
    ...forAdmins,
    method: 'delete',
    path: '/v1/auth/tenants/:id/clients/:clientId',
    operationId: 'deleteClient',
    summary: 'Delete an OAuth client and revoke its tokens (administrators only)',
    params: ofClient,
    responses: { 204: null },
    errors: adminErrors,
  }).handle(async ({ res, identity, params, reply }, { db }) => {
    await removeClient(db, adminOf(identity, res, params.id), params.clientId);
    reply(204);
  }),

  route({
    ...forAdmins,
    method: 'post',
    path: '/v1/auth/tenants/:id/clients/:clientId/secrets',
    operationId: 'rotateClientSecret',
    summary: 'Rotate the secret of an OAuth client (administrators only)',
    description: 'The latest old secret stays valid for `keep_old_for` seconds. Older secrets and keys are removed.',
    params: ofClient,
    body: z
      .strictObject({
        keep_old_for: z.int().min(0).max(maxSecretOverlapSec).default(defaultSecretOverlapSec).describe('Seconds.'),
        revoke_tokens: revokeTokens,
      })
      .prefault({}),
    responses: { 201: clientWithSecret },
    errors: adminErrors,
  }).handle(async ({ res, identity, params, body, reply }, { db }) => {
    const rotation = { keepOldForSec: body.keep_old_for, revokeTokens: body.revoke_tokens };
    reply(201, withSecret(await rotateSecret(db, adminOf(identity, res, params.id), params.clientId, rotation)));
  }),

  route({
    ...forAdmins,
    method: 'delete',
    path: '/v1/auth/tenants/:id/clients/:clientId/secrets/:secretId',
    operationId: 'endClientSecret',
    summary: 'Revoke a secret of an OAuth client (administrators only)',
    params: ofSecret,
    responses: { 204: null },
    errors: adminErrors,
  }).handle(async ({ res, identity, params, reply }, { db }) => {
    await endSecret(db, adminOf(identity, res, params.id), params.clientId, params.secretId);
    reply(204);
  }),
];

/** @throws AppError `validation_failed` naming the scopes that the installation does not define. */
function knownScopes(known: readonly string[], given: readonly string[]): readonly string[] {
  const errors = given.flatMap((scope, index) =>
    known.includes(scope)
      ? []
      : [{ path: `scopes.${index}`, message: 'is not a scope that this installation defines' }],
  );
  if (errors.length > 0) throw new AppError('validation_failed', { errors });
  return [...new Set(given)];
}

const toJson = ({ client: one, secrets }: ManagedClient): z.infer<typeof client> => ({
  client_id: one.id,
  name: one.name,
  scopes: [...one.scopes],
  grant_types: [...one.grantTypes],
  status: one.status,
  jwks: one.keys ?? null,
  secrets: secrets.map(({ id, createdAt, expiresAt, lastUsedAt }) => ({
    id,
    created_at: createdAt.toISOString(),
    expires_at: expiresAt?.toISOString() ?? null,
    last_used_at: lastUsedAt?.toISOString() ?? null,
  })),
  created_by: one.createdBy,
  created_at: one.createdAt.toISOString(),
  last_used_at: one.lastUsedAt?.toISOString() ?? null,
});

const withSecret = ({ secret, ...managed }: ClientWithSecret): z.infer<typeof clientWithSecret> => ({
  ...toJson(managed),
  ...(secret !== undefined && { client_secret: secret }),
});
