import { isUniqueViolation } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import { isStaff } from '../domain/access.ts';
import { foldName, maxOpenCategories } from '../domain/catalogue/category-name.ts';
import { mayTakeComplaints } from '../domain/people.ts';
import { AppError, found } from '../errors.ts';
import * as store from '../store/catalogue.ts';
import { asUser, type Category, type NewCategory, type ScopeUser, type Trx } from '../store/schema.ts';
import type { AssertCurrent, FlowParts } from './parts.ts';

/**
 * Returns the category with this id or name. If the catalogue is open, an unknown name from an agent or admin creates a
 * category.
 */
export async function chooseCategory(
  trx: Trx,
  { newId, now }: Pick<FlowParts, 'newId' | 'now'>,
  user: ScopeUser,
  idOrName: string,
): Promise<Category> {
  const known = await store.findCategoryNamed(trx, idOrName);
  if (known?.active === true) return known;
  const mayAdd =
    known === undefined &&
    isStaff(user) &&
    (await store.findSettings(trx))?.open_catalogue === true &&
    (await store.countCategories(trx)) < maxOpenCategories;
  if (!mayAdd) throw new AppError('unknown_category', { errors: [{ path: 'category', message: 'is not offered' }] });
  const at = now();
  await store.addNamedCategory(trx, {
    tenant_id: user.tenantId,
    id: newId(),
    name: idOrName,
    name_key: foldName(idOrName),
    revision: newId(),
    created_at: at,
    updated_at: at,
  });
  return (await store.findCategoryNamed(trx, idOrName)) as Category;
}

type Wanted = Omit<NewCategory, 'tenant_id' | 'id' | 'name_key' | 'revision' | 'created_at' | 'updated_at'>;
/** Absent members stay unchanged. */
type WantedChange = Readonly<{ [Member in keyof Wanted]?: Wanted[Member] | undefined }>;

export async function addCategory(
  { db, newId, now }: FlowParts,
  user: UserIdentity,
  wanted: Wanted,
): Promise<Category> {
  const at = now();
  const written = { tenant_id: user.tenantId, id: newId(), revision: newId(), created_at: at, updated_at: at };
  return withUniqueName('categories_name', () =>
    asUser(db, user, async (trx) => {
      await assertTeam(trx, wanted.team_id ?? null);
      return store.insertCategory(trx, { ...wanted, name_key: foldName(wanted.name), ...written });
    }),
  );
}

/** Changes a category. New targets apply only to new complaints. */
export async function editCategory(
  { db, newId, now }: FlowParts,
  user: UserIdentity,
  { id, wanted, assertCurrent }: Readonly<{ id: string; wanted: WantedChange; assertCurrent: AssertCurrent }>,
): Promise<Category> {
  const changes = {
    ...wanted,
    ...(wanted.name !== undefined && { name_key: foldName(wanted.name) }),
    revision: newId(),
    updated_at: now(),
  };
  return withUniqueName('categories_name', () =>
    asUser(db, user, async (trx) => {
      assertCurrent(found(await store.lockCategory(trx, id)).revision);
      await assertTeam(trx, wanted.team_id ?? null);
      return store.changeCategory(trx, id, changes);
    }),
  );
}

async function assertTeam(trx: Trx, id: string | null): Promise<void> {
  if (id !== null && (await store.findTeam(trx, id)) === undefined) throw new AppError('unknown_team');
}

/** @throws AppError `name_taken` if the work violates this constraint. */
async function withUniqueName<T>(constraint: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
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
  const id = parts.newId();
  const at = parts.now();
  const written = { tenant_id: user.tenantId, id, revision: parts.newId(), created_at: at, updated_at: at };
  return withUniqueName('teams_name', () =>
    asUser(parts.db, user, async (trx) => {
      await store.insertTeam(trx, { ...written, name, name_key: foldName(name) });
      await store.setMembers(trx, { tenantId: user.tenantId, teamId: id }, members);
      return (await store.findTeam(trx, id)) as store.TeamWithMembers;
    }),
  );
}

export async function editTeam(
  parts: FlowParts,
  user: UserIdentity,
  { id, name, members }: WantedTeam & Readonly<{ id: string }>,
): Promise<store.TeamWithMembers> {
  await assertAgents(parts, user, members ?? []);
  const names = name === undefined ? {} : { name, name_key: foldName(name) };
  return withUniqueName('teams_name', () =>
    asUser(parts.db, user, async (trx) => {
      if (!(await store.lockTeam(trx, id))) throw new AppError('not_found');
      await store.changeTeam(trx, id, { ...names, revision: parts.newId(), updated_at: parts.now() });
      if (members !== undefined) await store.setMembers(trx, { tenantId: user.tenantId, teamId: id }, members);
      return (await store.findTeam(trx, id)) as store.TeamWithMembers;
    }),
  );
}

async function assertAgents({ people }: FlowParts, user: UserIdentity, userIds: readonly string[]): Promise<void> {
  const found = await Promise.all(userIds.map((id) => people.find(user, id)));
  if (!found.every(mayTakeComplaints)) throw new AppError('unknown_assignee');
}
