import { join } from 'node:path';
import { databaseOf, openDatabase } from '@countersign/database';
import { openMailer } from '@countersign/mail';
import { createLogger, type Running } from '@countersign/process-kit';
import { gatewayInternalUrl, startBehindGateway, tracedCaller } from '@countersign/service-kit';
import { v7 as uuidv7 } from 'uuid';
import { createApp } from './app.ts';
import { startBackground } from './background.ts';
import type { ComplaintsConfig } from './config.ts';
import { createAddressBook, createPeopleDirectory } from './directory/people-directory.ts';
import { unsubscribeTokens } from './domain/mail/unsubscribe.ts';
import { webhookKeys } from './domain/webhooks/signature.ts';
import { createAttachmentStore } from './files/attachment-store.ts';
import { OpenStreams, openEventFeed } from './flows/events/event-feed.ts';
import type { FlowParts } from './flows/parts.ts';
import { webhookMaster } from './outgoing/webhook-master.ts';
import { isUpload } from './routes/attachments.ts';
import { eventSocket } from './routes/events/event-socket.ts';
import { readSeed, seed } from './seed/seed.ts';
import { complaintsDatabase } from './store/database.ts';
import type { ComplaintsSchema } from './store/tables.ts';

const name = 'complaint-service';
/** Enough for the reads of one tenant while another is slow. */
const feedConnections = 2;
// Short, because a caller is waiting for the response and can retry.
const nestedCallMs = 3_000;

/** @throws StartupError if the database or the port is not available. */
export async function start(
  config: ComplaintsConfig,
  logger = createLogger(name, config.LOG_LEVEL),
): Promise<Running & Readonly<{ port: number }>> {
  const seeded = config.SEED_FILE === undefined ? [] : readSeed(config.SEED_FILE);
  const db = await openDatabase<ComplaintsSchema>({
    ...complaintsDatabase,
    ...databaseOf('complaints', config.COMPLAINTS_DATABASE_URL, config),
    onError: (error) => logger.warn({ err: error }, 'a database connection was lost'),
  });
  const callService = tracedCaller({
    gatewayUrl: gatewayInternalUrl(config),
    gatewayName: config.GATEWAY_NAME,
    key: config.SERVICE_KEY,
    timeoutMs: nestedCallMs,
  });
  const people = createPeopleDirectory(callService, { logger });
  const files = createAttachmentStore(join(config.COUNTERSIGN_HOME, 'data', 'complaint-attachments'));
  const attachmentSpace = {
    ofTenant: config.COMPLAINTS_ATTACHMENT_SPACE_MB * 1024 * 1024,
    ofUserPerDay: config.COMPLAINTS_ATTACHED_PER_DAY_MB * 1024 * 1024,
  };
  const feed = await openEventFeed(db.withOwnPool(feedConnections));
  const master = webhookMaster(config.COUNTERSIGN_HOME, config.COMPLAINTS_WEBHOOK_KEY);
  const tokens = unsubscribeTokens(master);
  const flows: FlowParts = {
    db,
    newId: uuidv7,
    now: () => new Date(),
    people,
    files,
    attachmentSpace,
    erasureGraceMs: config.COMPLAINTS_ERASURE_GRACE_MINUTES * 60_000,
    feed,
    streams: new OpenStreams(),
    unsubscribeTokens: tokens,
    webhooks: {
      keys: webhookKeys(master),
      receivers: config.COMPLAINTS_WEBHOOK_REACH,
    },
  };
  const mail = {
    mailer: openMailer(config, logger),
    addresses: createAddressBook(callService),
    tokens,
    linkBase: config.COMPLAINTS_LINK_BASE_URL?.replace(/\/+$/, ''),
  };
  return startBehindGateway({
    name,
    port: config.COMPLAINTS_PORT,
    config,
    logger,
    database: db,
    streams: isUpload,
    upgrade: eventSocket(flows, logger),
    onDrain: () => feed.end(),
    async createApp({ onClose, ...parts }) {
      await seed(flows, seeded);
      onClose(await startBackground(flows, { logger, metrics: parts.metrics, mail }));
      return createApp(parts, flows);
    },
  });
}
