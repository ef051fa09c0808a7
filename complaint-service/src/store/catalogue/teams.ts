import { sql } from 'kysely';
import type { Team } from '../schema/catalogue.ts';
import type { Trx } from '../scope.ts';

export type TeamWithMembers = Team & Readonly<{ members: readonly string[] }>;

const members = sql<string[]>`coalesce((
  select array_agg(user_id order by user_id) from team_members
  where team_members.tenant_id = teams.tenant_id and team_members.team_id = teams.id), '{}')`.as('members');

export function listTeams(trx: Trx): Promise<TeamWithMembers[]> {
  return trx.selectFrom('teams').selectAll('teams').select(members).orderBy('name_key').execute();
}

export function findTeam(trx: Trx, id: string): Promise<TeamWithMembers | undefined> {
  return trx.selectFrom('teams').selectAll('teams').select(members).where('id', '=', id).executeTakeFirst();
}

export async function insertTeam(trx: Trx, team: Team): Promise<void> {
  await trx.insertInto('teams').values(team).execute();
}

export async function lockTeam(trx: Trx, id: string): Promise<boolean> {
  const found = await trx.selectFrom('teams').select('id').where('id', '=', id).forUpdate().executeTakeFirst();
  return found !== undefined;
}

export async function changeTeam(trx: Trx, id: string, changes: Partial<Team>): Promise<void> {
  await trx.updateTable('teams').set(changes).where('id', '=', id).execute();
}

/** Replaces the members of a team. */
export async function setMembers(
  trx: Trx,
  { tenantId, teamId }: Readonly<{ tenantId: string; teamId: string }>,
  userIds: readonly string[],
): Promise<void> {
  await trx.deleteFrom('team_members').where('team_id', '=', teamId).execute();
  await sql`
    insert into team_members (tenant_id, team_id, user_id)
    select distinct ${tenantId}, ${teamId}::uuid, user_id from unnest(${userIds}::text[]) as user_id`.execute(trx);
}
