import { isStaff } from '../../domain/access.ts';
import { foldName, maxOpenCategories } from '../../domain/catalogue/category-name.ts';
import { AppError } from '../../errors.ts';
import { addNamedCategory, countCategories, findCategoryNamed } from '../../store/catalogue/categories.ts';
import { findSettings } from '../../store/catalogue/settings.ts';
import type { Category } from '../../store/schema/catalogue.ts';
import type { ScopeUser, Trx } from '../../store/scope.ts';
import type { FlowParts } from '../parts.ts';

/**
 * Returns the category with this id or name. If the catalogue is open, an unknown name from an agent or admin creates a
 * category.
 *
 * @throws AppError `unknown_category`.
 */
export async function chooseCategory(
  trx: Trx,
  { newId, now }: Pick<FlowParts, 'newId' | 'now'>,
  user: ScopeUser,
  idOrName: string,
): Promise<Category> {
  const known = await findCategoryNamed(trx, idOrName);
  if (known?.active === true) return known;
  const mayAdd =
    known === undefined &&
    isStaff(user) &&
    (await findSettings(trx))?.open_catalogue === true &&
    (await countCategories(trx)) < maxOpenCategories;
  if (!mayAdd) throw new AppError('unknown_category', { errors: [{ path: 'category', message: 'is not offered' }] });
  const at = now();
  await addNamedCategory(trx, {
    tenant_id: user.tenantId,
    id: newId(),
    name: idOrName,
    name_key: foldName(idOrName),
    revision: newId(),
    created_at: at,
    updated_at: at,
  });
  const added = await findCategoryNamed(trx, idOrName);
  if (added === undefined) throw new Error('a category is missing immediately after it was added');
  return added;
}
