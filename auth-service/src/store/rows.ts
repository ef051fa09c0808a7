import type { ExpressionBuilder, InsertObject, SelectQueryBuilder, UpdateObject } from 'kysely';
import type { AuthSchema, Row } from './schema.ts';
import type { Trx } from './transaction.ts';

type Table = keyof AuthSchema;

/** An undefined value matches no row, unlike in Kysely's own filter objects. */
const matching = (values: object) => (is: ExpressionBuilder<AuthSchema, 'tenants'>) =>
  is.and(Object.entries(values).map(([name, value]) => is(name as 'id', value === null ? 'is' : '=', value)));

export const rowsWith = <T extends Table>(trx: Trx, table: T, values: Partial<Row<T>>) =>
  trx.selectFrom(table as 'tenants').where(matching(values)) as unknown as SelectQueryBuilder<AuthSchema, T, unknown>;

export async function insert<T extends Table>(
  trx: Trx,
  table: T,
  row: InsertObject<AuthSchema, T> | readonly InsertObject<AuthSchema, T>[],
): Promise<void> {
  await trx.insertInto(table).values(row).execute();
}

/** Inserts a row, unless it conflicts with an existing row. @returns Whether it was inserted. */
export async function insertNew<T extends Table>(trx: Trx, table: T, row: InsertObject<AuthSchema, T>) {
  const insertion = trx.insertInto(table).values(row);
  const { numInsertedOrUpdatedRows = 0n } = await insertion.onConflict((on) => on.doNothing()).executeTakeFirst();
  return numInsertedOrUpdatedRows > 0n;
}

/** Changes the rows with these values. @returns Whether there were any. */
export async function update<T extends Table>(
  trx: Trx,
  table: T,
  values: Partial<Row<T>>,
  change: UpdateObject<AuthSchema, T>,
): Promise<boolean> {
  const all = trx.updateTable(table as 'tenants').set(change as UpdateObject<AuthSchema, 'tenants'>);
  return (await all.where(matching(values)).executeTakeFirst()).numUpdatedRows > 0n;
}

/** Deletes the rows with these values. @returns Whether there were any. */
export async function remove<T extends Table>(trx: Trx, table: T, values: Partial<Row<T>>): Promise<boolean> {
  return (
    (
      await trx
        .deleteFrom(table as 'tenants')
        .where(matching(values))
        .executeTakeFirst()
    ).numDeletedRows > 0n
  );
}
