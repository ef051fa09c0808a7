import { countRows } from '@countersign/database';
import { sql, type UpdateObject } from 'kysely';
import { foldName } from '../domain/catalogue/category-name.ts';
import type { Category, ComplaintsSchema, NewCategory, Settings, Team, Trx } from './schema.ts';

export function findCategory(trx: Trx, id: string): Promise<Category | undefined> {
  return trx.selectFrom('categories').selectAll().where('id', '=', id).executeTakeFirst();
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Finds a category by its id or its name, active or not. */
export async function findCategoryNamed(trx: Trx, idOrName: string): Promise<Category | undefined> {
  const found = uuid.test(idOrName) ? await findCategory(trx, idOrName) : undefined;
  const byName = trx.selectFrom('categories').selectAll().where('name_key', '=', foldName(idOrName));
  return found ?? byName.executeTakeFirst();
}

/** Adds a category, unless another transaction has just added this name. */
export async function addNamedCategory(trx: Trx, category: NewCategory): Promise<void> {
  await trx
    .insertInto('categories')
    .values(category)
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name_key']).doNothing())
    .execute();
}

export async function countCategories(trx: Trx): Promise<number> {
  return (await trx.selectFrom('categories').select(countRows).executeTakeFirstOrThrow()).count;
}

export function listCategories(trx: Trx): Promise<Category[]> {
  return trx.selectFrom('categories').selectAll().orderBy('name_key').execute();
}

export function insertCategory(trx: Trx, category: NewCategory): Promise<Category> {
  return trx.insertInto('categories').values(category).returningAll().executeTakeFirstOrThrow();
}

export function lockCategory(trx: Trx, id: string): Promise<Category | undefined> {
  return trx.selectFrom('categories').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
}

export function changeCategory(
  trx: Trx,
  id: string,
  changes: UpdateObject<ComplaintsSchema, 'categories'>,
): Promise<Category> {
  return trx.updateTable('categories').set(changes).where('id', '=', id).returningAll().executeTakeFirstOrThrow();
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

/** Reads the tenant's settings. Undefined until an admin changes one. */
export function findSettings(trx: Trx): Promise<Settings | undefined> {
  return trx.selectFrom('settings').selectAll().executeTakeFirst();
}

export async function saveSettings(trx: Trx, settings: Settings): Promise<void> {
  const { tenant_id: _, ...changes } = settings;
  await trx
    .insertInto('settings')
    .values(settings)
    .onConflict((conflict) => conflict.column('tenant_id').doUpdateSet(changes))
    .execute();
}
