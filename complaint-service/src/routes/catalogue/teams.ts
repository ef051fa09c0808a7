import type { UserIdentity } from '@countersign/identity';
import { idField, lineField } from '@countersign/service-kit';
import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { addTeam, editTeam } from '../../flows/catalogue/manage-teams.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { listTeams, type TeamWithMembers } from '../../store/catalogue/teams.ts';
import { asUser } from '../../store/scope.ts';
import { displayName } from '../complaints/complaint-json.ts';
import { complaintPath } from '../fields.ts';
import { route } from '../route.ts';

const shared = { tag: 'Catalogue', callers: ['user'] } as const;

const wantedTeam = z.strictObject({
  name: lineField(50),
  members: z.array(idField).max(50).optional().describe('The ids of agents. They replace all current members.'),
});

const team = z
  .object({
    id: z.uuid(),
    name: z.string(),
    members: z.array(z.object({ user_id: z.string(), name: displayName })),
  })
  .meta({ id: 'Team' });

export const teamRoutes = [
  route({
    ...shared,
    method: 'get',
    path: '/v1/teams',
    operationId: 'listTeams',
    summary: 'List the teams by name',
    roles: staffRoles,
    responses: { 200: z.object({ items: z.array(team) }) },
    errors: [],
  }).handle(async ({ identity, reply }, parts) => {
    const found = await asUser(parts.db, identity, listTeams);
    reply(200, { items: await teamsJson(parts, identity, found) });
  }),

  route({
    ...shared,
    method: 'post',
    path: '/v1/teams',
    operationId: 'addTeam',
    summary: 'Add a team of agents',
    roles: ['admin'],
    body: wantedTeam.meta({ examples: [{ name: 'Road works', members: ['01936f00-0000-7000-8000-000000000012'] }] }),
    responses: { 201: team },
    errors: ['name_taken', 'unknown_assignee', 'people_unavailable'],
  }).handle(async ({ identity, body, reply }, parts) => {
    const added = await addTeam(parts, identity, body);
    const [json] = await teamsJson(parts, identity, [added]);
    if (json !== undefined) reply(201, json);
  }),

  route({
    ...shared,
    method: 'patch',
    path: '/v1/teams/:id',
    operationId: 'editTeam',
    summary: 'Rename a team, or replace its members',
    roles: ['admin'],
    params: complaintPath,
    body: wantedTeam.partial().meta({ examples: [{ members: ['01936f00-0000-7000-8000-000000000012'] }] }),
    responses: { 200: team },
    errors: ['name_taken', 'unknown_assignee', 'people_unavailable'],
  }).handle(async ({ identity, params, body, reply }, parts) => {
    const edited = await editTeam(parts, identity, { id: params.id, ...body });
    const [json] = await teamsJson(parts, identity, [edited]);
    if (json !== undefined) reply(200, json);
  }),
];

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
