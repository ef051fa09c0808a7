import { jsonOf, lineField, namedObject, paginate, paginationFields } from '@countersign/service-kit';
import { z } from 'zod';
import {
  clientKeySet,
  defaultSecretOverlapSec,
  grantTypes,
  isClientId,
  maxScopes,
  maxSecretOverlapSec,
} from '../../domain/clients/client-rules.ts';
import * as flows from '../../flows/clients/manage-clients.ts';
import { adminOf, route } from '../route.ts';

const grantTypeList = z.array(z.enum(grantTypes)).min(1).max(grantTypes.length);
const scopeList = z.array(z.string()).max(maxScopes);
const revokeTokens = z.boolean().default(false).describe('Also revoke all tokens of the OAuth client.');

const secret = z.object({
  id: z.uuid(),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime().nullable(),
  last_used_at: z.iso.datetime().nullable(),
});

const oauthClient = namedObject('Client', {
  client_id: z.string(),
  name: z.string(),
  scopes: scopeList,
  grant_types: grantTypeList,
  status: z.enum(['active', 'disabled']),
  jwks: clientKeySet.nullable().describe('Null if the OAuth client authenticates with a secret.'),
  secrets: z.array(secret),
  created_by: z.string().nullable(),
  created_at: z.iso.datetime(),
  last_used_at: z.iso.datetime().nullable().describe('Accurate to one minute.'),
});

const oauthClientWithSecret = oauthClient
  .extend({ client_secret: z.string().optional().describe('Shown only once. Absent if the OAuth client has keys.') })
  .meta({ id: 'ClientWithSecret' });

const ofOAuthClient = z.object({ id: z.string(), clientId: z.string().refine(isClientId) });
const ofSecret = ofOAuthClient.extend({ secretId: z.uuid() });
const forAdmins = { tag: 'Clients', callers: ['user'], errors: ['insufficient_role', 'tenant_mismatch'] } as const;

export const oauthClientRoutes = [
  route('POST /v1/auth/tenants/:id/clients', {
    ...forAdmins,
    operationId: 'createClient',
    summary: 'Create an OAuth client in your tenant (administrators only)',
    description: 'Without `jwks`, the response has a generated `client_secret`. Scopes must be listed in AUTH_SCOPES.',
    body: z
      .strictObject({
        name: lineField(100),
        scopes: scopeList,
        grant_types: grantTypeList.default(['client_credentials']),
        jwks: clientKeySet.optional(),
      })
      .meta({ examples: [{ name: 'Nightly export', scopes: ['complaints.read'] }] }),
    responses: { 201: oauthClientWithSecret },
  }).handle(async (call, { db, scopes: known }) => {
    const { req, res, body, reply } = call;
    const wanted = { ...body, scopes: knownScopes(known, body.scopes), jwks: body.jwks ?? null };
    const created = await flows.createOAuthClient(db, adminOf(call), wanted);
    res.location(`${req.path}/${created.oauthClient.id}`);
    reply(201, withSecret(created));
  }),

  route('GET /v1/auth/tenants/:id/clients', {
    ...forAdmins,
    operationId: 'listClients',
    summary: 'List the OAuth clients of your tenant, newest first (administrators only)',
    query: z.strictObject(paginationFields({ maxLength: 43, decode: (text) => (isClientId(text) ? text : undefined) })),
    responses: { 200: z.object({ items: z.array(oauthClient), next_cursor: z.string().nullable() }) },
  }).handle(async (call, { db }) => {
    const { tenantId } = adminOf(call);
    const { cursor: before, limit } = call.query;
    const found = await flows.everyOAuthClient(db, tenantId, { before, limit: limit + 1 });
    const { rows, nextCursor } = paginate(found, limit, ({ oauthClient: { id } }) => id);
    call.reply(200, { items: rows.map(toJson), next_cursor: nextCursor });
  }),

  route('GET /v1/auth/tenants/:id/clients/:clientId', {
    ...forAdmins,
    operationId: 'readClient',
    summary: 'Read an OAuth client (administrators only)',
    params: ofOAuthClient,
    responses: { 200: oauthClient },
  }).handle(async (call, { db }) => {
    const { tenantId } = adminOf(call);
    call.reply(200, toJson(await flows.readOAuthClient(db, tenantId, call.params.clientId)));
  }),

  route('PATCH /v1/auth/tenants/:id/clients/:clientId', {
    ...forAdmins,
    operationId: 'changeClient',
    summary: 'Change, disable or enable an OAuth client (administrators only)',
    description:
      'Disabling an OAuth client, or removing a scope or grant type, revokes its tokens immediately. `jwks` replaces its keys and secrets.',
    params: ofOAuthClient,
    body: z
      .strictObject({
        name: lineField(100).exactOptional(),
        scopes: scopeList.exactOptional(),
        grant_types: grantTypeList.exactOptional(),
        status: z.enum(['active', 'disabled']).exactOptional(),
        jwks: clientKeySet.exactOptional(),
        revoke_tokens: revokeTokens,
      })
      .meta({ examples: [{ status: 'disabled' }] }),
    responses: { 200: oauthClient },
  }).handle(async (call, { db, scopes: known }) => {
    const { revoke_tokens: revokeTokens, ...settings } = call.body;
    const scopes = settings.scopes && { scopes: knownScopes(known, settings.scopes) };
    const wanted = { ...settings, ...scopes, revokeTokens };
    call.reply(200, toJson(await flows.changeOAuthClient(db, adminOf(call), call.params.clientId, wanted)));
  }),

  route('DELETE /v1/auth/tenants/:id/clients/:clientId', {
    ...forAdmins,
    operationId: 'deleteClient',
    summary: 'Delete an OAuth client and revoke its tokens (administrators only)',
    params: ofOAuthClient,
    responses: { 204: null },
  }).handle(async (call, { db }) => {
    await flows.removeOAuthClient(db, adminOf(call), call.params.clientId);
    call.reply(204);
  }),

  route('POST /v1/auth/tenants/:id/clients/:clientId/secrets', {
    ...forAdmins,
    operationId: 'rotateClientSecret',
    summary: "Rotate an OAuth client's secret (administrators only)",
    description:
      'The most recent old secret stays valid for `keep_old_for` seconds. All other secrets and keys are removed.',
    params: ofOAuthClient,
    body: z
      .strictObject({
        keep_old_for: z.int().min(0).max(maxSecretOverlapSec).default(defaultSecretOverlapSec).describe('In seconds.'),
        revoke_tokens: revokeTokens,
      })
      .prefault({}),
    responses: { 201: oauthClientWithSecret },
  }).handle(async (call, { db }) => {
    const rotation = { keepOldForSec: call.body.keep_old_for, revokeTokens: call.body.revoke_tokens };
    call.reply(201, withSecret(await flows.rotateSecret(db, adminOf(call), call.params.clientId, rotation)));
  }),

  route('DELETE /v1/auth/tenants/:id/clients/:clientId/secrets/:secretId', {
    ...forAdmins,
    operationId: 'endClientSecret',
    summary: "Revoke an OAuth client's secret (administrators only)",
    params: ofSecret,
    responses: { 204: null },
  }).handle(async (call, { db }) => {
    await flows.endSecret(db, adminOf(call), call.params.clientId, call.params.secretId);
    call.reply(204);
  }),
];

/** @throws AppError `validation_failed` naming the scopes that AUTH_SCOPES does not list. */
function knownScopes(known: readonly string[], given: readonly string[]): string[] {
  flows.assertScopes(given, known, 'is not listed in AUTH_SCOPES');
  return [...new Set(given)];
}

const toJson = ({ oauthClient: row, secrets }: flows.ManagedOAuthClient): z.infer<typeof oauthClient> =>
  jsonOf(oauthClient, { ...row, client_id: row.id, secrets: secrets.map((each) => jsonOf(secret, each)) });

const withSecret = ({ secret: client_secret, ...managed }: flows.OAuthClientWithSecret) => ({
  ...toJson(managed),
  ...(client_secret !== undefined && { client_secret }),
});
