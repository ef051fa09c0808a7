import { countRows, remove, rowsWith } from '@countersign/database';
import { sql } from 'kysely';
import { foldName } from '../domain/catalogue/category-name.ts';
import type { Trx } from './schema.ts';
import type { Category, Team } from './tables.ts';

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Finds a category by its id or its name, active or not. */
export async function findCategoryNamed(trx: Trx, idOrName: string): Promise<Category | undefined> {
  const find = (values: Partial<Category>) => rowsWith(trx, 'categories', values).selectAll().executeTakeFirst();
  const byId = uuid.test(idOrName) ? await find({ id: idOrName }) : undefined;
  return byId ?? find({ name_key: foldName(idOrName) });
}

export async function countCategories(trx: Trx): Promise<number> {
  return (await trx.selectFrom('categories').select(countRows).executeTakeFirstOrThrow()).count;
}

export function listCategories(trx: Trx): Promise<Category[]> {
  return trx.selectFrom('categories').selectAll().orderBy('name_key').execute();
}

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

export async function setMembers(
  trx: Trx,
  { tenantId, teamId }: Readonly<{ tenantId: string; teamId: string }>,
  userIds: readonly string[],
): Promise<void> {
  await remove(trx, 'team_members', { team_id: teamId });
  await sql`
    insert into team_members (tenant_id, team_id, user_id)
    select distinct ${tenantId}, ${teamId}::uuid, user_id from unnest(${userIds}::text[]) as user_id`.execute(trx);
}

/** Whether agents and admins can add categories by using them. */
export async function hasOpenCatalogue(trx: Trx): Promise<boolean> {
  return (await trx.selectFrom('settings').select('open_catalogue').executeTakeFirst())?.open_catalogue ?? false;
}
