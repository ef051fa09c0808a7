import { isUniqueViolation } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import { foldName } from '../../domain/catalogue/category-name.ts';
import { AppError } from '../../errors.ts';
import { changeCategory, insertCategory, lockCategory } from '../../store/catalogue/categories.ts';
import { findTeam } from '../../store/catalogue/teams.ts';
import type { Category, NewCategory } from '../../store/schema/catalogue.ts';
import { asUser, type Trx } from '../../store/scope.ts';
import type { AssertCurrent, FlowParts } from '../parts.ts';

type Wanted = Omit<NewCategory, 'tenant_id' | 'id' | 'name_key' | 'revision' | 'created_at' | 'updated_at'>;
/** Absent members stay unchanged. */
type WantedChange = Readonly<{ [Member in keyof Wanted]?: Wanted[Member] | undefined }>;

/** @throws AppError `name_taken` or `unknown_team`. */
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
      return insertCategory(trx, { ...wanted, name_key: foldName(wanted.name), ...written });
    }),
  );
}

/**
 * Changes a category. New targets apply only to new complaints.
 *
 * @throws AppError `not_found`, `name_taken` or `unknown_team`, and any error from `assertCurrent`.
 */
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
      const current = await lockCategory(trx, id);
      if (current === undefined) throw new AppError('not_found');
      assertCurrent(current.revision);
      await assertTeam(trx, wanted.team_id ?? null);
      return changeCategory(trx, id, changes);
    }),
  );
}

async function assertTeam(trx: Trx, id: string | null): Promise<void> {
  if (id !== null && (await findTeam(trx, id)) === undefined) throw new AppError('unknown_team');
}

/** @throws AppError `name_taken` if the work violates this constraint. */
export async function withUniqueName<T>(constraint: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isUniqueViolation(error, constraint)) throw new AppError('name_taken', { cause: error });
    throw error;
  }
}
