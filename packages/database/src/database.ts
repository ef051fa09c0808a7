import { type Kysely, sql, type Transaction } from 'kysely';
import { asUnavailable } from './failure.ts';

/** The database role, tenant and user of a transaction. Row-level security uses only these. */
export type Scope = Readonly<{
  /** A NOLOGIN role with only the grants that this work needs. */
  role: string;
  /** The tenant whose rows may be seen and written. If absent, none. */
  tenantId?: string;
  /** The user for whom it runs, for policies on their own rows. If absent, none. */
  userId?: string;
  /** The user's role in the tenant, for policies that distinguish roles. If absent, none. */
  userRole?: string;
}>;

/** The functions of a driver besides Kysely. */
export type Driver = Readonly<{
  kind: 'pglite' | 'postgres';
  /**
   * Called for each NOTIFY on the channel, and once with `undefined` after a reconnect, because notifications may have
   * been missed.
   */
  listen(channel: string, onNotify: (payload: string | undefined) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}>;

export type Database<Schema> = Readonly<{
  kind: 'pglite' | 'postgres';
  /**
   * Runs one transaction. Role and settings are local to it, so a pooled connection carries nothing to the next user.
   * No network call, stream or bcrypt belongs inside; on PGlite, a query outside it would wait forever.
   *
   * @throws AppError `unavailable` when the database cannot be reached or is shutting down.
   */
  transaction<T>(scope: Scope, work: (trx: Transaction<Schema>) => Promise<T>): Promise<T>;
  listen: Driver['listen'];
  /** @returns Undefined if the database answers, and otherwise the reason, as a health check returns it. */
  ping(): Promise<string | undefined>;
  close(): Promise<void>;
}>;

export function makeDatabase<Schema>(kysely: Kysely<Schema>, driver: Driver): Database<Schema> {
  return {
    kind: driver.kind,
    listen: driver.listen,
    close: driver.close,
    async transaction(scope, work) {
      try {
        return await kysely.transaction().execute(async (trx) => {
          // set_config('role', …, true) is SET LOCAL ROLE, and needs only one round trip for all settings.
          await sql`select set_config('role', ${scope.role}, true),
                           set_config('app.tenant_id', ${scope.tenantId ?? ''}, true),
                           set_config('app.user_id', ${scope.userId ?? ''}, true),
                           set_config('app.role', ${scope.userRole ?? ''}, true)`.execute(trx);
          return work(trx);
        });
      } catch (error) {
        throw asUnavailable(error);
      }
    },
    async ping() {
      try {
        await sql`select 1`.execute(kysely);
        return undefined;
      } catch {
        return 'the database does not answer';
      }
    },
  };
}
