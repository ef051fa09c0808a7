import { databaseOf, openDatabase } from '@countersign/database';
import { serviceCaller } from '@countersign/identity';
import {
  createLogger,
  type Logger,
  type Registry,
  type Running,
  registerScraped,
  startBackgroundLoop,
} from '@countersign/process-kit';
import { type BehindGatewayParts, gatewayInternalUrl, startBehindGateway } from '@countersign/service-kit';
import type { Express } from 'express';
import { Counter } from 'prom-client';
import { createApp } from './app.ts';
import { type AuthConfig, apiDocumentOf, browserOriginsOf, issuerOf, pageOriginsOf, registrationOf } from './config.ts';
import { createHashQueue, createPasswords } from './domain/accounts/passwords.ts';
import type { RegistrationRules } from './flows/accounts/register.ts';
import { seed } from './flows/accounts/seed.ts';
import { openSigningKeys, type SigningKeys } from './flows/keys/signing-keys.ts';
import { createNames } from './flows/people/names.ts';
import { type Feed, openFeed } from './flows/sessions/follow-revocations.ts';
import { observeRefreshes } from './flows/sessions/refresh.ts';
import { createThrottle } from './flows/sessions/throttle.ts';
import { listenForOperator } from './operator/listener.ts';
import { operatorSocketPath } from './operator/socket-path.ts';
import { startOutgoing } from './outgoing.ts';
import { authDatabase } from './store/database.ts';
import { signingKeysChannel } from './store/keys/signing-keys.ts';
import { databaseAttempts, redisAttempts, withFallback } from './store/sessions/attempts.ts';
import { findTenant } from './store/tenants/tenants.ts';
import { type AuthDatabase, roles } from './store/transaction.ts';
import { removeExpired } from './store/upkeep.ts';

const name = 'auth-service';

export type RunningService = Running & Readonly<{ port: number }>;

/** @throws StartupError if the service cannot start. */
export async function start(config: AuthConfig): Promise<RunningService> {
  const logger = createLogger(name, config.LOG_LEVEL);
  const db: AuthDatabase = await openDatabase({
    ...authDatabase,
    ...databaseOf('auth', config.AUTH_DATABASE_URL, config),
    onError: (error) => logger.warn({ err: error }, 'a database connection was lost'),
  });
  return startOn(config, { db, logger });
}

/** Starts the service on an open database, and closes the database when it stops or fails to start. */
export async function startOn(
  config: AuthConfig,
  { db, logger }: Readonly<{ db: AuthDatabase; logger: Logger }>,
): Promise<RunningService> {
  let feed: Feed | undefined;
  return startBehindGateway({
    name,
    port: config.AUTH_PORT,
    config,
    logger,
    database: db,
    onDrain: async () => feed?.end(),
    async createApp(parts) {
      feed = await openFeed(db);
      parts.onClose(feed.end);
      return openApp(config, { ...parts, db, feed });
    },
  });
}

type OpenParts = BehindGatewayParts & Readonly<{ db: AuthDatabase; feed: Feed }>;

async function openApp(config: AuthConfig, { redis, checks, onClose, ...parts }: OpenParts): Promise<Express> {
  const { db, logger, metrics } = parts;
  const signingKeys = await openSigningKeys(db, config.AUTH_SIGNING_KEK, config.AUTH_SIGNING_ALGORITHM);
  checks.signing_key = () => (signingKeys.ready ? undefined : 'no signing key is loaded');
  const passwords = await openPasswords(config, metrics);
  if (config.SEED_FILE !== undefined) {
    await seed(db, passwords, { file: config.SEED_FILE, clientSecret: config.SEED_CLIENT_SECRET });
  }
  const registration = registrationOf(config);
  await warnOfMissingTenant(db, registration, logger);
  const inDatabase = databaseAttempts(db);
  const attempts = redis === undefined ? inDatabase : withFallback(redisAttempts(redis), inDatabase, logger);
  const callService = serviceCaller({
    gatewayUrl: gatewayInternalUrl(config),
    gatewayName: config.GATEWAY_NAME,
    key: config.SERVICE_KEY,
  });
  const app = createApp({
    ...parts,
    passwords,
    names: createNames(callService, logger),
    throttle: createThrottle(attempts),
    macKeys: config.AUTH_REFRESH_MAC_KEYS,
    observe: observeRefreshes(metrics, logger),
    keks: config.AUTH_SIGNING_KEK,
    browserOrigins: browserOriginsOf(config),
    pages: { origins: pageOriginsOf(config), afterLogin: config.AUTH_AFTER_LOGIN },
    signingKeys,
    issuer: { issuer: issuerOf(config), audience: config.AUTH_AUDIENCE },
    scopes: config.AUTH_SCOPES,
    registration,
    apiDocument: apiDocumentOf(config),
  });
  onClose(await startOutgoing(config, parts, callService));
  onClose(startHousekeeping(db, signingKeys, logger));
  // Each instance switches keys as soon as any instance changes them.
  const stopFollowing = await db.listen(signingKeysChannel, () => {
    signingKeys.refresh().catch((error) => logger.error({ err: error }, 'the signing keys could not be reloaded'));
  });
  onClose(stopFollowing);
  const operatorSocket = operatorSocketPath(config);
  if (operatorSocket !== undefined) {
    const operatorParts = { db, keks: config.AUTH_SIGNING_KEK, alg: config.AUTH_SIGNING_ALGORITHM };
    onClose(await listenForOperator(operatorSocket, operatorParts, logger));
  }
  return app;
}

/** Warns instead of failing, because the operator may create the tenant later. */
async function warnOfMissingTenant(db: AuthDatabase, { joins }: RegistrationRules, logger: Logger): Promise<void> {
  if (joins === undefined) return;
  const found = await db.transaction({ role: roles.accounts }, (trx) => findTenant(trx, joins.tenant));
  if (found !== undefined) return;
  logger.warn({ tenant: joins.tenant }, 'AUTH_REGISTRATION_TENANT does not exist, so new accounts cannot log in');
}

async function openPasswords(config: AuthConfig, metrics: Registry) {
  const queue = createHashQueue({
    concurrency: config.AUTH_HASH_CONCURRENCY,
    maxWaiting: config.AUTH_HASH_QUEUE,
  });
  const hashes = new Counter({
    name: 'auth_password_hashes_total',
    help: 'Started bcrypt computations: one per login attempt, plus one when a hash is updated.',
    registers: [metrics],
  });
  const help = 'Password hashes that are waiting to be computed.';
  registerScraped({ name: 'auth_password_hashes_waiting', help, rows: () => [[[], queue.waiting]] }, metrics);
  return createPasswords({ peppers: config.AUTH_PASSWORD_PEPPERS, cost: config.AUTH_BCRYPT_COST, queue }, () =>
    hashes.inc(),
  );
}

const housekeepingMs = 30_000;

/** Separate loops keep a long deletion from delaying a rotation. @returns A function that stops both. */
function startHousekeeping(db: AuthDatabase, signingKeys: SigningKeys, logger: Logger): () => Promise<void> {
  const tasks = [(stopped: AbortSignal) => removeExpired(db, stopped), () => signingKeys.refresh()];
  const loops = tasks.map((task) =>
    startBackgroundLoop({
      run: (stopped) => task(stopped).then(() => housekeepingMs),
      onError: (error) => logger.error({ err: error }, 'housekeeping failed; retrying'),
      afterFailureMs: housekeepingMs,
    }),
  );
  return async () => {
    await Promise.all(loops.map((loop) => loop.stop()));
  };
}
