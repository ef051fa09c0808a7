import type { Settings } from '../schema/catalogue.ts';
import type { Trx } from '../scope.ts';

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
