import type { UserIdentity } from '@countersign/identity';
import { createRouter, idField, lineField, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { addTeam, editTeam } from '../../flows/catalogue/manage-teams.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { listTeams, type TeamWithMembers } from '../../store/catalogue/teams.ts';
import { asUser } from '../../store/scope.ts';
import { displayName } from '../complaints/complaint-json.ts';
import { endpoint } from '../endpoint.ts';
import { complaintPath } from '../fields.ts';

const tag = 'Catalogue';

const wantedTeam = z.strictObject({
  name: lineField(50),
  members: z.array(idField).max(50).optional().describe('Agents of the tenant. All of them: others leave the team.'),
});

const team = z
  .object({
    id: z.uuid(),
    name: z.string(),
    members: z.array(z.object({ user_id: z.string(), name: displayName })),
  })
  .meta({ id: 'Team' });

export const listTeamsEndpoint = endpoint({
  method: 'get',
  path: '/v1/teams',
  operationId: 'listTeams',
  tag,
  summary: 'List the teams, by name',
  callers: ['user'],
  roles: staffRoles,
  responses: { 200: z.object({ items: z.array(team) }) },
  errors: [],
});

export const addTeamEndpoint = endpoint({
  method: 'post',
  path: '/v1/teams',
  operationId: 'addTeam',
  tag,
  summary: 'Add a team of agents',
  callers: ['user'],
  roles: ['admin'],
  body: wantedTeam.meta({ examples: [{ name: 'Road works', members: ['01936f00-0000-7000-8000-000000000012'] }] }),
  responses: { 201: team },
  errors: ['name_taken', 'unknown_assignee', 'people_unavailable'],
});

export const editTeamEndpoint = endpoint({
  method: 'patch',
  path: '/v1/teams/:id',
  operationId: 'editTeam',
  tag,
  summary: 'Rename a team, or replace its members',
  callers: ['user'],
  roles: ['admin'],
  params: complaintPath,
  body: wantedTeam.partial().meta({ examples: [{ members: ['01936f00-0000-7000-8000-000000000012'] }] }),
  responses: { 200: team },
  errors: ['name_taken', 'unknown_assignee', 'people_unavailable'],
});

/** Routes for the teams of a tenant. */
export function teamRoutes(parts: FlowParts): Router {
  const router = createRouter();

  serve(router, listTeamsEndpoint, async ({ identity, reply }) => {
    const found = await asUser(parts.db, identity, listTeams);
    reply(200, { items: await teamsJson(parts, identity, found) });
  });

  serve(router, addTeamEndpoint, async ({ identity, body, reply }) => {
    const added = await addTeam(parts, identity, body);
    const [json] = await teamsJson(parts, identity, [added]);
    if (json !== undefined) reply(201, json);
  });

  serve(router, editTeamEndpoint, async ({ identity, params, body, reply }) => {
    const edited = await editTeam(parts, identity, { id: params.id, ...body });
    const [json] = await teamsJson(parts, identity, [edited]);
    if (json !== undefined) reply(200, json);
  });

  return router;
}

async function teamsJson(
  { people }: FlowParts,
  caller: UserIdentity,
  rows: readonly TeamWithMembers[],
): Promise<z.output<typeof team>[]> {
  const names = await people.namesOf(
    caller,
    rows.flatMap(({ members }) => members),
  );
  return rows.map(({ id, name, members }) => ({
    id,
    name,
    members: members.map((userId) => ({ user_id: userId, name: names.get(userId) ?? null })),
  }));
}
