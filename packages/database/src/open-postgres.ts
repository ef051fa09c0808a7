import { setTimeout as delay } from 'node:timers/promises';
import { StartupError } from '@countersign/process-kit';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { type Driver, traceQuery } from './database.ts';
import { describe } from './provision.ts';
import { endConnection, ServerWatch } from './server-watch.ts';

// Reads int8 as a number, as PGlite does: our sequences stay below 2^53.
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 && format !== 'binary'
      ? Number
      : pg.types.getTypeParser(oid, format as 'text')) as pg.CustomTypesConfig['getTypeParser'],
};

const statementTimeoutMs = 10_000;
const longestSilenceMs = statementTimeoutMs + 2_000;
// Requests that wait for a connection to a hung server fail within 3 s.
const connectWithinMs = 2_500;

export type Opened<Schema> = Readonly<{
  kysely: Kysely<Schema>;
  driver: Driver;
  /** Opens more connections to the same server, which the driver closes. */
  openPool?: (maxConnections: number) => Kysely<Schema>;
}>;

type PoolOptions = Readonly<{
  /** Called when an idle connection is lost. The pool replaces it. */
  onError: (error: Error) => void;
  maxConnections: number;
}>;

export async function openPostgres<Schema>(
  url: string,
  { onError, maxConnections }: PoolOptions,
): Promise<Opened<Schema>> {
  const watch = new ServerWatch({ url, longestSilenceMs });
  const pools: pg.Pool[] = [];
  const makePool = (max: number) => {
    const pool = new pg.Pool({
      connectionString: url,
      types,
      max,
      connectionTimeoutMillis: connectWithinMs,
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs,
    });
    pool.on('error', onError);
    pool.on('connect', (client) => {
      // The pool handles errors only of idle connections. Without this handler, losing a connection in use would end
      // the process.
      client.on('error', onError);
    });
    watch.follow(pool);
    pools.push(pool);
    return pool;
  };
  const kyselyOn = (pool: pg.Pool) => {
    const watched = {
      async connect() {
        watch.assertAnswers();
        return pool.connect();
      },
      end: () => pool.end(),
      options: pool.options,
    };
    return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: watched }), log: traceQuery });
  };
  const first = makePool(maxConnections);
  try {
    (await first.connect()).release();
  } catch (error) {
    await first.end();
    throw new StartupError(`database: cannot connect: ${describe(error)}`, { cause: error });
  }
  const listeners = new Set<() => Promise<void>>();
  return {
    kysely: kyselyOn(first),
    openPool: (max) => kyselyOn(makePool(max)),
    driver: {
      kind: 'postgres',
      async listen(channel, onNotify) {
        const stop = await listenOn(url, channel, { onNotify, onError });
        listeners.add(stop);
        return async () => {
          listeners.delete(stop);
          await stop();
        };
      },
      async close() {
        await Promise.all([...listeners].map((stop) => stop()));
        watch.stop();
        await Promise.all(pools.map((pool) => pool.ending || pool.end()));
        await watch.allEnded();
      },
    },
  };
}

const firstRetryMs = 100;
// Short, because without a listener this instance misses logouts, and gateways must refuse tokens within a second of a
// logout.
const lastRetryMs = 500;
// Load balancers and NATs silently drop connections that are idle for long, often after 350 s. Linux would send the
// first probe after 2 hours.
const probeAfterMs = 10_000;

type ListenOptions = Readonly<{
  onNotify: (payload: string | undefined) => void;
  onError: (error: Error) => void;
}>;

/** Keeps a separate connection that LISTENs. Reconnects with backoff if it is lost. */
async function listenOn(
  url: string,
  channel: string,
  { onNotify, onError }: ListenOptions,
): Promise<() => Promise<void>> {
  const stopped = new AbortController();
  let client = await connect();

  async function connect(): Promise<pg.Client> {
    const next = new pg.Client({
      connectionString: url,
      keepAlive: true,
      keepAliveInitialDelayMillis: probeAfterMs,
      connectionTimeoutMillis: 3_000,
    });
    next.on('notification', (message) => onNotify(message.payload));
    next.on('error', onError);
    try {
      await next.connect();
      await next.query(`listen ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      await next.end().catch(onError);
      throw error;
    }
    next.once('end', () => void reconnect());
    return next;
  }

  async function reconnect(): Promise<void> {
    for (let waitMs = firstRetryMs; !stopped.signal.aborted; waitMs = Math.min(waitMs * 2, lastRetryMs)) {
      try {
        await delay(waitMs, undefined, { signal: stopped.signal });
        client = await connect();
        if (stopped.signal.aborted) await endConnection(client);
        else onNotify(undefined);
        return;
      } catch (error) {
        // Logs once, because such frequent retries would fill the log while the server is down.
        if (waitMs === firstRetryMs && !stopped.signal.aborted) onError(error as Error);
      }
    }
  }

  return async () => {
    stopped.abort();
    await endConnection(client);
  };
}
