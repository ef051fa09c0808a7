import { countRows } from '@countersign/database';
import type { UpdateObject } from 'kysely';
import { foldName } from '../../domain/catalogue/category-name.ts';
import type { Category, NewCategory } from '../schema/catalogue.ts';
import type { ComplaintsSchema } from '../schema/schema.ts';
import type { Trx } from '../scope.ts';

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
