import { openDatabase } from '@countersign/database';
import {
  connectRedis,
  createHealth,
  createLogger,
  createMetrics,
  createServiceServer,
  drainServer,
  type Logger,
  listen,
  type Running,
  trustGateway,
} from '@countersign/service-kit';
import { Counter, Gauge } from 'prom-client';
import { createApp } from './app.ts';
import {
  type AuthConfig,
  apiDocumentOf,
  browserOriginsOf,
  databaseLocation,
  issuerOf,
  pageOriginsOf,
  registrationOf,
} from './config.ts';
import { createHashQueue } from './domain/accounts/hash-queue.ts';
import { createPasswords } from './domain/accounts/passwords.ts';
import type { RegistrationRules } from './flows/accounts/register.ts';
import { seed } from './flows/accounts/seed.ts';
import { openSigningKeys } from './flows/keys/signing-keys.ts';
import { startHousekeeping } from './flows/operator/housekeeping.ts';
import { openFeed } from './flows/sessions/follow-revocations.ts';
import { observeRefreshes } from './flows/sessions/refresh-metrics.ts';
import { createThrottle, withFallback } from './flows/sessions/throttle.ts';
import { listenForOperator } from './operator/listener.ts';
import { operatorSocketPath } from './operator/socket-path.ts';
import { startOutgoing } from './outgoing.ts';
import { type AuthDatabase, authDatabase } from './store/database.ts';
import { signingKeysChannel } from './store/keys/signing-keys.ts';
import { roles } from './store/roles.ts';
import { databaseAttempts } from './store/sessions/attempts-database.ts';
import { redisAttempts } from './store/sessions/attempts-redis.ts';
import { findTenant } from './store/tenants/members.ts';

const name = 'auth-service';

export type RunningService = Running & Readonly<{ port: number }>;

/** Starts the service as it is configured. @throws StartupError when it cannot. */
export async function start(config: AuthConfig): Promise<RunningService> {
  const logger = createLogger(name, config.LOG_LEVEL);
  const db: AuthDatabase = await openDatabase({
    ...authDatabase,
    location: databaseLocation(config),
    name: `${config.DATABASE_PREFIX}_auth`,
    onError: (error) => logger.warn({ err: error }, 'a database connection was lost'),
  });
  return serve(config, { db, logger });
}

/** Starts the service on an open database, which it closes when it stops or cannot start. */
export async function serve(
  config: AuthConfig,
  { db, logger }: Readonly<{ db: AuthDatabase; logger: Logger }>,
): Promise<RunningService> {
  // Closes in reverse order what the start opened: when the service stops, or when a later step of the start fails.
  const resources = new AsyncDisposableStack();
  resources.defer(() => db.close());
  try {
    return await open(config, { db, logger, resources });
  } catch (error) {
    await resources.disposeAsync().catch((failure) => logger.error({ err: failure }, 'a part could not be closed'));
    throw error;
  }
}

async function open(
  config: AuthConfig,
  { db, logger, resources }: Readonly<{ db: AuthDatabase; logger: Logger; resources: AsyncDisposableStack }>,
): Promise<RunningService> {
  const metrics = createMetrics();
  const signingKeys = await openSigningKeys(db, config.AUTH_SIGNING_KEK, config.AUTH_SIGNING_ALGORITHM);
  const passwords = await openPasswords(config, metrics);
  if (config.SEED_FILE !== undefined) {
    await seed(db, passwords, { file: config.SEED_FILE, clientSecret: config.SEED_CLIENT_SECRET });
  }
  const registration = registrationOf(config);
  await warnOfNowhere(db, registration, logger);

  const redis = config.REDIS_URL === undefined ? undefined : connectRedis(config.REDIS_URL, logger);
  resources.defer(() => redis?.disconnect());
  const inDatabase = databaseAttempts(db);
  const attempts = redis === undefined ? inDatabase : withFallback(redisAttempts(redis), inDatabase, logger);
  const gateway = trustGateway({ audience: name, config, redis, logger, metrics });
  resources.defer(() => gateway.stop());
  const feed = await openFeed(db);
  resources.defer(() => feed.end());
  const health = createHealth({
    database: () => db.ping(),
    signing_key: () => (signingKeys.ready ? undefined : 'there is none'),
    ...gateway.checks,
  });
  const apiDocument = apiDocumentOf(config);
  const app = createApp({
    db,
    logger,
    metrics,
    health,
    passwords,
    throttle: createThrottle(attempts),
    macKeys: config.AUTH_REFRESH_MAC_KEYS,
    observe: observeRefreshes(metrics, logger),
    keks: config.AUTH_SIGNING_KEK,
    browserOrigins: browserOriginsOf(config),
    pages: { origins: pageOriginsOf(config), afterLogin: config.AUTH_AFTER_LOGIN },
    signingKeys,
    issuer: { issuer: issuerOf(config), audience: config.AUTH_AUDIENCE },
    scopes: config.AUTH_SCOPES,
    feed,
    identity: gateway.handler,
    publishKeys: gateway.publishKeys,
    registration,
    ...(apiDocument !== undefined && { apiDocument }),
  });

  resources.defer(await startOutgoing(config, { db, logger, metrics }));
  resources.defer(startHousekeeping(db, signingKeys, logger));
  // Notifies all instances, so that each signs with the right key at once.
  const stopFollowing = await db.listen(signingKeysChannel, () => {
    signingKeys.refresh().catch((error) => logger.error({ err: error }, 'the signing keys could not be read again'));
  });
  resources.defer(stopFollowing);
  const operatorSocket = operatorSocketPath(config);
  if (operatorSocket !== undefined) {
    const operatorParts = { db, keks: config.AUTH_SIGNING_KEK, alg: config.AUTH_SIGNING_ALGORITHM };
    resources.defer(await listenForOperator(operatorSocket, operatorParts, logger));
  }
  // From here the service can verify requests. This does not wait for the gateway, which may need our key set first.
  await gateway.start();
  // Registered last, so that it closes first: current requests still have every resource.
  const server = createServiceServer(app);
  const port = await listen(server, { host: config.HOST, port: config.AUTH_PORT }, name);
  resources.defer(async () => {
    const drained = drainServer(server, config.SHUTDOWN_GRACE_MS);
    await feed.end();
    await drained;
  });
  logger.info({ port, database: db.kind }, 'listening');
  return { port, health, logger, drainDelayMs: config.DRAIN_DELAY_MS, stop: () => resources.disposeAsync() };
}

/** Warns instead of failing, because an operator creates the tenant through the running service. */
async function warnOfNowhere(db: AuthDatabase, { joins }: RegistrationRules, logger: Logger): Promise<void> {
  if (joins === undefined) return;
  const found = await db.transaction({ role: roles.accounts }, (trx) => findTenant(trx, joins.tenant));
  if (found !== undefined) return;
  logger.warn({ tenant: joins.tenant }, 'AUTH_REGISTRATION_TENANT names no tenant: new accounts cannot log in');
}

async function openPasswords(config: AuthConfig, metrics: ReturnType<typeof createMetrics>) {
  const queue = createHashQueue({
    concurrency: config.AUTH_HASH_CONCURRENCY,
    maxWaiting: config.AUTH_HASH_QUEUE,
  });
  const hashes = new Counter({
    name: 'auth_password_hashes_total',
    help: 'bcrypt computations begun: one a login attempt, one more where a hash is renewed.',
    registers: [metrics],
  });
  new Gauge({
    name: 'auth_password_hashes_waiting',
    help: 'Login attempts that wait for a place to compute their hash.',
    registers: [metrics],
    collect() {
      this.set(queue.waiting);
    },
  });
  return createPasswords({ peppers: config.AUTH_PASSWORD_PEPPERS, cost: config.AUTH_BCRYPT_COST, queue }, () =>
    hashes.inc(),
  );
}
