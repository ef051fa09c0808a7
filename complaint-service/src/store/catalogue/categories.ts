import { countRows } from '@countersign/database';
import { foldName } from '../../domain/catalogue/category-name.ts';
import type { Category } from '../schema/catalogue.ts';
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

export type NewCategory = Pick<Category, 'tenant_id' | 'id' | 'name' | 'name_key' | 'revision' | 'created_at'>;

/** Adds a category, unless another transaction has just added this name. */
export async function addNamedCategory(trx: Trx, category: NewCategory): Promise<void> {
  await trx
    .insertInto('categories')
    .values({ ...category, updated_at: category.created_at })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name_key']).doNothing())
    .execute();
}

export async function countCategories(trx: Trx): Promise<number> {
  return (await trx.selectFrom('categories').select(countRows).executeTakeFirstOrThrow()).count;
}

export function listCategories(trx: Trx): Promise<Category[]> {
  return trx.selectFrom('categories').selectAll().orderBy('name_key').execute();
}

export type CategoryChanges = Partial<Omit<Category, 'tenant_id' | 'id' | 'created_at'>>;

export function insertCategory(trx: Trx, category: Category): Promise<Category> {
  return trx.insertInto('categories').values(category).returningAll().executeTakeFirstOrThrow();
}

export function lockCategory(trx: Trx, id: string): Promise<Category | undefined> {
  return trx.selectFrom('categories').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
}

export function changeCategory(trx: Trx, id: string, changes: CategoryChanges): Promise<Category> {
  return trx.updateTable('categories').set(changes).where('id', '=', id).returningAll().executeTakeFirstOrThrow();
}
