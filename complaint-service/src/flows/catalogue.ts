import { insert, insertNew, insertRow, isUniqueViolation, rowsWith, update, updateRow } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import { isStaff } from '../domain/access.ts';
import { foldName, maxOpenCategories } from '../domain/catalogue/category-name.ts';
import { mayTakeComplaints } from '../domain/people.ts';
import { AppError, found } from '../errors.ts';
import * as store from '../store/catalogue.ts';
import { asUser, type ScopeUser, type Trx } from '../store/schema.ts';
import type { Category, NewCategory } from '../store/tables.ts';
import type { AssertCurrent, FlowParts } from './parts.ts';

/**
 * Returns the category with this id or name. If the catalogue is open, an unknown name from an agent or admin creates a
 * category.
 */
export async function chooseCategory(
  trx: Trx,
  parts: Pick<FlowParts, 'newId' | 'now'>,
  user: ScopeUser,
  idOrName: string,
): Promise<Category> {
  const known = await store.findCategoryNamed(trx, idOrName);
  if (known?.active === true) return known;
  const mayAdd =
    known === undefined &&
    isStaff(user) &&
    (await store.hasOpenCatalogue(trx)) &&
    (await store.countCategories(trx)) < maxOpenCategories;
  if (!mayAdd) throw new AppError('unknown_category', { errors: [{ path: 'category', message: 'is not offered' }] });
  // Another transaction may have just added this name.
  await insertNew(trx, 'categories', { ...newRow(parts, user.tenantId), ...named(idOrName) });
  return (await store.findCategoryNamed(trx, idOrName)) as Category;
}

/** The columns that every new category or team has. */
export function newRow({ newId, now }: Pick<FlowParts, 'newId' | 'now'>, tenantId: string) {
  const at = now();
  return { tenant_id: tenantId, id: newId(), revision: newId(), created_at: at, updated_at: at };
}

export const named = (name: string) => ({ name, name_key: foldName(name) });

type Wanted = Omit<NewCategory, 'tenant_id' | 'id' | 'name_key' | 'revision' | 'created_at' | 'updated_at'>;
/** Absent members stay unchanged. */
type WantedChange = Readonly<{ [Member in keyof Wanted]?: Wanted[Member] | undefined }>;

export function addCategory(parts: FlowParts, user: UserIdentity, wanted: Wanted): Promise<Category> {
  const row = { ...wanted, ...named(wanted.name), ...newRow(parts, user.tenantId) };
  return naming('categories_name', parts, user, async (trx) => {
    await assertTeam(trx, wanted.team_id ?? null);
    return insertRow(trx, 'categories', row);
  });
}

/** Changes a category. New targets apply only to new complaints. */
export function editCategory(
  parts: FlowParts,
  user: UserIdentity,
  { id, wanted, assertCurrent }: Readonly<{ id: string; wanted: WantedChange; assertCurrent: AssertCurrent }>,
): Promise<Category> {
  const changes = {
    ...wanted,
    ...(wanted.name !== undefined && named(wanted.name)),
    revision: parts.newId(),
    updated_at: parts.now(),
  };
  return naming('categories_name', parts, user, async (trx) => {
    const locked = rowsWith(trx, 'categories', { id }).select('revision').forUpdate();
    assertCurrent(found(await locked.executeTakeFirst()).revision);
    await assertTeam(trx, wanted.team_id ?? null);
    return found(await updateRow(trx, 'categories', { id }, changes));
  });
}

async function assertTeam(trx: Trx, id: string | null): Promise<void> {
  if (id !== null && (await store.findTeam(trx, id)) === undefined) throw new AppError('unknown_team');
}

/** @throws AppError `name_taken` if the work violates this constraint. */
async function naming<T>(
  constraint: string,
  { db }: FlowParts,
  user: UserIdentity,
  work: (trx: Trx) => Promise<T>,
): Promise<T> {
  try {
    return await asUser(db, user, work);
  } catch (error) {
    if (isUniqueViolation(error, constraint)) throw new AppError('name_taken', { cause: error });
    throw error;
  }
}

type WantedTeam = Readonly<{
  name?: string | undefined;
  members?: readonly string[] | undefined;
}>;

export async function addTeam(
  parts: FlowParts,
  user: UserIdentity,
  { name, members = [] }: WantedTeam & Readonly<{ name: string }>,
): Promise<store.TeamWithMembers> {
  await assertAgents(parts, user, members);
  const team = { ...newRow(parts, user.tenantId), ...named(name) };
  return naming('teams_name', parts, user, async (trx) => {
    await insert(trx, 'teams', team);
    await store.setMembers(trx, { tenantId: user.tenantId, teamId: team.id }, members);
    return found(await store.findTeam(trx, team.id));
  });
}

export async function editTeam(
  parts: FlowParts,
  user: UserIdentity,
  { id, name, members }: WantedTeam & Readonly<{ id: string }>,
): Promise<store.TeamWithMembers> {
  await assertAgents(parts, user, members ?? []);
  const changes = { ...(name !== undefined && named(name)), revision: parts.newId(), updated_at: parts.now() };
  return naming('teams_name', parts, user, async (trx) => {
    if (!(await update(trx, 'teams', { id }, changes))) throw new AppError('not_found');
    if (members !== undefined) await store.setMembers(trx, { tenantId: user.tenantId, teamId: id }, members);
    return found(await store.findTeam(trx, id));
  });
}

async function assertAgents({ people }: FlowParts, user: UserIdentity, userIds: readonly string[]): Promise<void> {
  const agents = await Promise.all(userIds.map((id) => people.find(user, id)));
  if (!agents.every(mayTakeComplaints)) throw new AppError('unknown_assignee');
}
