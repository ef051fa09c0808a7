import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestDatabase, tenants, people as usual } from '@countersign/testing';
import { serviceWorld } from '@countersign/testing/service';
import { v7 as uuidv7 } from 'uuid';
import { createApp } from '../src/app.ts';
import { unsubscribeTokens } from '../src/domain/mail/unsubscribe.ts';
import type { Member, PeopleDirectory } from '../src/domain/people.ts';
import { webhookKeys } from '../src/domain/webhooks/signature.ts';
import { createAttachmentStore } from '../src/files/attachment-store.ts';
import { OpenStreams, openEventFeed } from '../src/flows/events/event-feed.ts';
import type { FlowParts } from '../src/flows/parts.ts';
import { api } from '../src/routes/api.ts';
import { isUpload } from '../src/routes/attachments.ts';
import { complaintsDatabase } from '../src/store/database.ts';
import { asUser, type ComplaintsDatabase, type Trx } from '../src/store/schema.ts';
import type { ComplaintsSchema } from '../src/store/tables.ts';

export const audience = 'complaint-service';

export const people = {
  ...usual,
  neighbour: { ...usual.complainant, userId: '0197c2a0-0000-7000-8000-0000000000a4' },
  secondAgent: { ...usual.agent, userId: '0197c2a0-0000-7000-8000-0000000000a5' },
  strangerComplainant: { ...usual.complainant, tenantId: tenants.globex },
};

/** The users-service of a test: these people are active members of their tenants, and have no names. */
/** @param disabled The ids of people whose accounts are disabled. The test may change it. */
export const directoryOf = (
  members: readonly (typeof people.agent)[] = Object.values(people),
  disabled: ReadonlySet<string> = new Set(),
): PeopleDirectory => ({
  async find({ tenantId }, userId): Promise<Member | undefined> {
    const found = members.find((each) => each.tenantId === tenantId && each.userId === userId);
    return found && { id: userId, role: found.role, status: disabled.has(userId) ? 'inactive' : 'active' };
  },
  namesOf: async (_caller, ids) => new Map(ids.map((id) => [id, null])),
});

/** The tables with rows of tenants, which an admin can read. */
export const tables = [
  'complaints',
  'comments',
  'history',
  'terms',
  'watchers',
  'categories',
  'teams',
  'team_members',
  'settings',
  'attachments',
  'events',
  'attachment_space',
  'webhooks',
  'webhook_deliveries',
  'retention_policies',
  'erasures',
  'mails',
  'mail_people',
  'members',
  'organizations',
  'statistics_by_status',
  'statistics_by_age',
  'statistics_times',
] as const;

/** Low, so that tests can reach it. */
export const attachmentSpace = { ofTenant: 2 * 1024 * 1024, ofUserPerDay: 1024 * 1024 };

/** Short, so that tests see what a quiet stream sends. */
const shortQuietMs = 300;

/** The catalogue of both tenants, unless a test has its own. */
const usualCategories = ['light', 'noise', 'praise', 'phone', 'house', 'street', 'c'];

/** Starts the service on a database without complaints. Tests can choose new ids and read every row. */
export async function complaintsWorld(
  where: TestDatabase,
  directory: PeopleDirectory = directoryOf(),
  {
    categories = usualCategories,
    quietMs = shortQuietMs,
    feedConnections = 2,
    ...pool
  }: Readonly<{
    maxConnections?: number;
    categories?: readonly string[];
    quietMs?: number;
    feedConnections?: number;
  }> = {},
) {
  const database = await where.open<ComplaintsSchema>({ ...complaintsDatabase, ...pool });
  let forcedId: (() => string) | undefined;
  let laterMs = 0;
  const newId = () => forcedId?.() ?? uuidv7();
  const now = () => new Date(Date.now() + laterMs);
  const attachments = await mkdtemp(join(tmpdir(), 'complaint-attachments-'));
  const files = createAttachmentStore(attachments);
  const feedDb = database.db.withOwnPool(feedConnections);
  let feedReads = 0;
  const counted: ComplaintsDatabase = {
    ...feedDb,
    transaction(scope, work) {
      feedReads += 1;
      return feedDb.transaction(scope, work);
    },
  };
  const feed = await openEventFeed(counted, quietMs);
  const streams = new OpenStreams();
  const flows = (db: ComplaintsDatabase): FlowParts => ({
    db,
    newId,
    now,
    people: directory,
    files,
    attachmentSpace,
    erasureGraceMs: 3 * 24 * 3600_000,
    feed,
    streams,
    unsubscribeTokens: unsubscribeTokens(Buffer.alloc(32, 2)),
    webhooks: { keys: webhookKeys(Buffer.alloc(32, 1)), receivers: 'loopback' },
  });
  const world = await serviceWorld({
    audience,
    api,
    database,
    streams: isUpload,
    createApp: ({ db, ...parts }) => createApp(parts, flows(db)),
  });
  for (const name of categories) {
    for (const who of [people.admin, { ...people.admin, tenantId: tenants.globex }]) {
      await world.call(who, 'POST', '/v1/categories', { body: { name } }).expect(201);
    }
  }
  return {
    ...world,
    database,
    files,
    feed,
    /** The event feed's connections. */
    feedDb,
    /** How many transactions the event feed has begun. */
    feedReads: () => feedReads,
    flows: flows(database.db),
    /** The directory of the stored files. */
    attachments,
    async close() {
      await feed.end();
      await world.close();
      await rm(attachments, { recursive: true });
    },
    /** Makes every new id equal this one, or what this returns. Undefined restores random ids. */
    nextIds(id: string | (() => string) | undefined) {
      forcedId = typeof id === 'string' ? () => id : id;
    },
    /** Moves the service's clock forward or back. */
    moveClock(ms: number) {
      laterMs += ms;
    },
    /** Runs a transaction as this user. */
    as: <T>(who: typeof people.agent, work: (trx: Trx) => Promise<T>) => asUser(world.db, who, work),
    /** Returns every row of every tenant, to check that nothing was written. */
    async rows() {
      const read = Object.values(tenants).map((tenantId) =>
        asUser(world.db, { ...people.admin, tenantId }, async (trx) => {
          const found: Partial<Record<(typeof tables)[number], Record<string, unknown>[]>> = {};
          for (const table of tables) {
            const rows: Record<string, unknown>[] = await trx.selectFrom(table).selectAll().execute();
            found[table] = rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
          }
          return found;
        }),
      );
      return Promise.all(read);
    },
  };
}
