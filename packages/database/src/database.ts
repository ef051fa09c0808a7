import { addQuerySpan } from '@countersign/tracing';
import { type Kysely, type LogEvent, sql, type Transaction } from 'kysely';
import { asUnavailable } from './failure.ts';

/** A transaction's database role, tenant and user. Row-level security uses nothing else. */
export type Scope = Readonly<{
  /** A NOLOGIN role with only the privileges for this work. */
  role: string;
  /** The tenant whose rows are accessible. If undefined, none are. */
  tenantId?: string;
  /** The user, for policies on their own rows. */
  userId?: string;
  /** The user's role in the tenant, for policies that depend on roles. */
  userRole?: string;
}>;

/** What Kysely lacks. */
export type Driver = Readonly<{
  kind: 'pglite' | 'postgres';
  /**
   * Called for each NOTIFY on the channel, and with `undefined` after a reconnect, because notifications may have been
   * missed.
   */
  listen(channel: string, onNotify: (payload: string | undefined) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}>;

export type Database<Schema> = Driver &
  Readonly<{
    /**
     * Runs a transaction. The role and settings end with it, so a pooled connection carries nothing to the next user.
     * Do not wait for a network call, a stream or bcrypt in it. On PGlite, a query outside the transaction would wait
     * forever.
     *
     * @throws AppError `unavailable` if the database cannot be reached or is shutting down.
     */
    transaction<T>(scope: Scope, work: (trx: Transaction<Schema>) => Promise<T>): Promise<T>;
    /** @returns Undefined if the database responds, or else the reason for the health check. */
    ping(): Promise<string | undefined>;
    /**
     * Returns the same database with its own connections, for background work that must not take the connections of
     * requests. They close together with this database. PGlite has only one connection, which both share.
     */
    withOwnPool(maxConnections: number): Database<Schema>;
  }>;

/** @param openPool Opens more connections. If undefined, there is only one. */
export function makeDatabase<Schema>(
  kysely: Kysely<Schema>,
  driver: Driver,
  openPool: (maxConnections: number) => Kysely<Schema> = () => kysely,
): Database<Schema> {
  return {
    ...driver,
    withOwnPool: (maxConnections) => makeDatabase(openPool(maxConnections), driver, openPool),
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
        return 'the database does not respond';
      }
    },
  };
}

/** Creates a span for each statement in a traced request. */
export const traceQuery = (event: LogEvent): void =>
  addQuerySpan(event.query.sql, event.queryDurationMillis, event.level === 'error' ? event.error : undefined);

/** Calls a channel's listeners in all instances when this transaction commits. */
export async function notify<Schema>(trx: Transaction<Schema>, channel: string): Promise<void> {
  await sql`select pg_notify(${channel}, '')`.execute(trx);
}

/** Counts the rows: `const { count } = await query.select(countRows).executeTakeFirstOrThrow()`. */
export const countRows = sql<number>`count(*)::int`.as('count');
