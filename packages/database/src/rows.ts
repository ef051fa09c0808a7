import type {
  DeleteQueryBuilder,
  DeleteResult,
  ExpressionBuilder,
  InsertObject,
  Selectable,
  SelectQueryBuilder,
  Transaction,
  UpdateObject,
  UpdateQueryBuilder,
  UpdateResult,
} from 'kysely';

/** A row of a schema's table, as the database returns it. */
export type RowOf<Schema, Table extends keyof Schema> = Selectable<Schema[Table]>;

// Kysely cannot follow a table that is a type parameter. The signatures below check tables and columns.
type AnySchema = { any: { id: string } };
const untyped = (trx: object) => trx as Transaction<AnySchema>;

/** An undefined value matches no row, unlike in Kysely's own filter objects. */
const matching = (values: object) => (is: ExpressionBuilder<AnySchema, 'any'>) =>
  is.and(Object.entries(values).map(([name, value]) => is(name as 'id', value === null ? 'is' : '=', value)));

/** Selects from the rows with these values. */
export const rowsWith = <Schema, Table extends keyof Schema & string>(
  trx: Transaction<Schema>,
  table: Table,
  values: Partial<RowOf<Schema, Table>>,
) =>
  untyped(trx)
    .selectFrom(table as 'any')
    .where(matching(values)) as unknown as SelectQueryBuilder<Schema, Table, unknown>;

const inserting = <Schema, Table extends keyof Schema & string>(
  trx: Transaction<Schema>,
  table: Table,
  row: InsertObject<Schema, Table> | readonly InsertObject<Schema, Table>[],
) =>
  untyped(trx)
    .insertInto(table as 'any')
    .values(row as unknown as AnySchema['any']);

export async function insert<Schema, Table extends keyof Schema & string>(
  ...rows: Parameters<typeof inserting<Schema, Table>>
): Promise<void> {
  await inserting(...rows).execute();
}

/** Inserts a row. @returns The row with its defaults. The role must be able to read it. */
export async function insertRow<Schema, Table extends keyof Schema & string>(
  ...row: Parameters<typeof inserting<Schema, Table>>
): Promise<RowOf<Schema, Table>> {
  const inserted: unknown = await inserting(...row)
    .returningAll()
    .executeTakeFirstOrThrow();
  return inserted as RowOf<Schema, Table>;
}

/** Inserts a row, unless it conflicts with an existing row. @returns Whether it was inserted. */
export async function insertNew<Schema, Table extends keyof Schema & string>(
  ...row: Parameters<typeof inserting<Schema, Table>>
): Promise<boolean> {
  const attempt = inserting(...row).onConflict((on) => on.doNothing());
  return ((await attempt.executeTakeFirst()).numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Inserts a row, or changes the row that has the same value in the column `key`. */
export async function save<Schema, Table extends keyof Schema & string>(
  trx: Transaction<Schema>,
  table: Table,
  key: keyof Schema[Table] & string,
  row: InsertObject<Schema, Table>,
): Promise<void> {
  const { [key]: _, ...changes } = row as Record<string, unknown>;
  const either = inserting(trx, table, row).onConflict((on) => on.column(key as 'id').doUpdateSet(changes));
  await either.execute();
}

/** Starts an update of the rows with these values. */
export const updating = <Schema, Table extends keyof Schema & string>(
  trx: Transaction<Schema>,
  table: Table,
  values: Partial<RowOf<Schema, Table>>,
  change: UpdateObject<Schema, Table>,
) =>
  untyped(trx)
    .updateTable(table as 'any')
    .set(change as object)
    .where(matching(values)) as unknown as UpdateQueryBuilder<Schema, Table, Table, UpdateResult>;

/** Changes the rows with these values. @returns Whether there were any. */
export async function update<Schema, Table extends keyof Schema & string>(
  ...change: Parameters<typeof updating<Schema, Table>>
): Promise<boolean> {
  return (await updating(...change).executeTakeFirst()).numUpdatedRows > 0n;
}

/** Changes the row with these values. @returns The changed row. Undefined if there is none. */
export async function updateRow<Schema, Table extends keyof Schema & string>(
  ...change: Parameters<typeof updating<Schema, Table>>
): Promise<RowOf<Schema, Table> | undefined> {
  const changed: unknown = await updating(...change)
    .returningAll()
    .executeTakeFirst();
  return changed as RowOf<Schema, Table> | undefined;
}

/** Starts a deletion of the rows with these values. */
export const removing = <Schema, Table extends keyof Schema & string>(
  trx: Transaction<Schema>,
  table: Table,
  values: Partial<RowOf<Schema, Table>>,
) =>
  untyped(trx)
    .deleteFrom(table as 'any')
    .where(matching(values)) as unknown as DeleteQueryBuilder<Schema, Table, DeleteResult>;

/** Deletes the rows with these values. @returns Whether there were any. */
export async function remove<Schema, Table extends keyof Schema & string>(
  ...rows: Parameters<typeof removing<Schema, Table>>
): Promise<boolean> {
  return (await removing(...rows).executeTakeFirst()).numDeletedRows > 0n;
}
