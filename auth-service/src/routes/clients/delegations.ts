import { requestIdOf } from '@countersign/process-kit';
import { jsonOf, namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import {
  delegationTokenType,
  isClientId,
  maxDelegationSec,
  maxScopes,
  minDelegationSec,
} from '../../domain/clients/client-rules.ts';
import { delegate, withdrawDelegation } from '../../flows/clients/delegate.ts';
import { listAgents } from '../../store/clients/clients.ts';
import { listOwnDelegations, type OwnDelegation } from '../../store/clients/delegations.ts';
import { callerOf, route, sessionOf } from '../route.ts';

const delegation = namedObject('Delegation', {
  id: z.uuid(),
  client_id: z.string(),
  client_name: z.string(),
  tenant_id: z.string(),
  scopes: z.array(z.string()),
  current: z.boolean().describe('Whether you granted it in the current session.'),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
  last_used_at: z.iso.datetime().nullable().describe('Accurate to one minute.'),
});

const granted = delegation
  .extend({
    subject_token: z.string().describe('The OAuth client exchanges this token at the token endpoint. Shown only once.'),
    subject_token_type: z.literal(delegationTokenType),
  })
  .meta({ id: 'GrantedDelegation' });

const forPeople = { tag: 'Clients', callers: ['user'] } as const;

export const delegationRoutes = [
  route('POST /v1/auth/delegations', {
    ...forPeople,
    operationId: 'delegate',
    summary: 'Let an OAuth client in your tenant act for you',
    description:
      'The delegation ends after `expires_in` seconds or with this session. The OAuth client exchanges `subject_token` ' +
      'for access tokens (RFC 8693). An OAuth client that acts for you cannot call this operation.',
    body: z
      .strictObject({
        client_id: z.string().refine(isClientId, 'is not a valid OAuth client id'),
        scopes: z.array(z.string()).min(1).max(maxScopes),
        expires_in: z.int().min(minDelegationSec).max(maxDelegationSec).describe('In seconds.'),
      })
      .meta({
        examples: [
          {
            client_id: 'client-0197c2a0-0000-7000-8000-00000000000c',
            scopes: ['complaints.read'],
            expires_in: 3600,
          },
        ],
      }),
    responses: { 201: granted },
    errors: ['session_revoked', 'too_many_delegations'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    const session = sessionOf(identity);
    const consent = { clientId: body.client_id, scopes: [...new Set(body.scopes)], lifetimeSec: body.expires_in };
    const made = await delegate(parts, session, consent, callerOf(req, res, identity));
    res.location(`/v1/auth/delegations/${made.delegation.id}`);
    reply(201, {
      ...toJson(made.delegation, session.sessionId),
      subject_token: made.token,
      subject_token_type: delegationTokenType,
    });
  }),

  route('GET /v1/auth/delegations', {
    ...forPeople,
    operationId: 'listDelegations',
    summary: 'List the OAuth clients that can act for you, newest first',
    responses: { 200: z.object({ items: z.array(delegation) }) },
  }).handle(async ({ identity, reply }, parts) => {
    const found = await listOwnDelegations(parts.db, identity.userId);
    reply(200, { items: found.map((one) => toJson(one, identity.context.sid)) });
  }),

  route('DELETE /v1/auth/delegations/:id', {
    ...forPeople,
    operationId: 'withdrawDelegation',
    summary: 'Withdraw a delegation and revoke its tokens',
    params: z.object({ id: z.uuid() }),
    responses: { 204: null },
    errors: ['session_revoked'],
  }).handle(async ({ res, identity, params, reply }, parts) => {
    await withdrawDelegation(parts.db, sessionOf(identity), params.id, requestIdOf(res));
    reply(204);
  }),

  route('GET /v1/auth/agents', {
    ...forPeople,
    operationId: 'listAgents',
    summary: 'List the OAuth clients in your tenant that can act for users, by name',
    responses: {
      200: z.object({
        items: z.array(z.object({ client_id: z.string(), name: z.string(), scopes: z.array(z.string()) })),
      }),
    },
  }).handle(async ({ identity, reply }, parts) => {
    const agents = await listAgents(parts.db, identity.tenantId);
    const items = agents.map(({ id, name, scopes }) => {
      return { client_id: id, name, scopes: scopes.filter((scope) => parts.scopes.includes(scope)) };
    });
    reply(200, { items });
  }),
];

const toJson = (row: OwnDelegation, sid: string | undefined): z.infer<typeof delegation> =>
  jsonOf(delegation, { ...row, current: row.session_id === sid });
