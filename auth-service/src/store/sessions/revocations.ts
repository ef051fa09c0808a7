import { notify } from '@countersign/database';
import { sql } from 'kysely';
import { delegatedFrom } from '../clients/delegations.ts';
import type { AuthDatabase } from '../database.ts';
import { holdLock } from '../locks.ts';
import { roles } from '../roles.ts';
import type { RevocationKind } from '../schema.ts';
import type { Trx } from '../scope.ts';

export const revocationsChannel = 'countersign_revocations';
export const batchSize = 5_000;
const rowsPerInsert = 1_000;

export type NewRevocation =
  | Readonly<{ kind: 'session'; sid: string; userId: string; tenantId: string }>
  | Readonly<{ kind: 'member'; userId: string; tenantId: string }>
  | Readonly<{ kind: 'user'; userId: string }>
  | Readonly<{ kind: 'tenant'; tenantId: string }>
  | Readonly<{ kind: 'key'; kid: string }>
  | Readonly<{ kind: 'client'; clientId: string; tenantId: string }>;

/**
 * Appends entries to the log. Must be the last statement of a transaction, after its FOR UPDATE locks.
 *
 * The lock is held until the commit, so entries become visible in the order of their numbers. Otherwise a slow writer's
 * lower number could appear after a cursor has passed it. `not_before` is the next whole second, because `iat` counts
 * whole seconds and every earlier token must be older. For a key it is the expiry of the entry, because a thief of the
 * key can choose any `iat`. For a tenant or a client it is later than that of every revocation that `issueTimeSec`
 * counts: a token issued after such a revocation in the same second carries its `not_before`, and no entry of its
 * session ends it here. That is a second later than the next whole one even where none is found, because a role does
 * not see all of them.
 *
 * @param inForceSec How long a token that the entry revokes can still be valid.
 */
export async function appendRevocations(
  trx: Trx,
  entries: readonly NewRevocation[],
  inForceSec: number,
): Promise<void> {
  if (entries.length === 0) return;
  const all = [...entries, ...(await delegatedEntries(trx, entries))];
  await notify(trx, revocationsChannel);
  await holdLock(trx, 'revocationLog');
  const notBefore = sql<Date>`date_trunc('second', clock_timestamp()) + interval '1 second'`;
  const latest = await latestAmong(trx, entries);
  const afterOthers = sql<Date>`greatest(${notBefore}, ${latest}::timestamptz) + interval '1 second'`;
  const timesOf = ({ kind }: NewRevocation) => {
    const start = kind === 'tenant' || kind === 'client' ? afterOthers : notBefore;
    const end = sql<Date>`${start} + make_interval(secs => ${inForceSec}::int)`;
    return { not_before: kind === 'key' ? end : start, expires_at: end };
  };
  const rows = all.map((entry) => ({ kind: entry.kind, ...subjectOf(entry), ...timesOf(entry) }));
  // A statement takes at most 65,535 parameters.
  for (let from = 0; from < rows.length; from += rowsPerInsert)
    await trx
      .insertInto('revocations')
      .values(rows.slice(from, from + rowsPerInsert))
      .execute();
}

/** Ending a session also ends its delegations. Read while holding the session's lock, which a consent waits for. */
async function delegatedEntries(trx: Trx, entries: readonly NewRevocation[]): Promise<NewRevocation[]> {
  const sids = entries.flatMap((entry) => (entry.kind === 'session' ? [entry.sid] : []));
  return (await delegatedFrom(trx, sids)).map((delegation) => ({ kind: 'session', ...delegation }));
}

/**
 * The latest `not_before` that a token of these tenants or clients may have to respect. Read once for all tenants:
 * reading it separately for thousands of tenants would scan all users' entries each time.
 */
async function latestAmong(trx: Trx, entries: readonly NewRevocation[]): Promise<Date | null> {
  const tenants = entries.flatMap((entry) => (entry.kind === 'tenant' ? [entry.tenantId] : []));
  const clients = entries.flatMap((entry) => (entry.kind === 'client' ? [entry] : []));
  const concerned = [...tenants, ...clients.map(({ tenantId }) => tenantId)];
  if (concerned.length === 0) return null;
  const { latest } = await trx
    .selectFrom('revocations')
    .select(sql<Date | null>`max(not_before)`.as('latest'))
    .where((is) =>
      is.or([
        is('kind', '=', 'user'),
        is.and([is('kind', 'in', ['member', 'tenant']), is('tenant_id', 'in', concerned)]),
        ...(tenants.length === 0 ? [] : [is.and([is('kind', '=', 'client'), is('tenant_id', 'in', tenants)])]),
        // Excludes other clients: each entry would push the tokens of the next client a second further ahead.
        ...clients.map(({ tenantId, clientId }) =>
          is.and([is('kind', '=', 'client'), is('tenant_id', '=', tenantId), is('client_id', '=', clientId)]),
        ),
      ]),
    )
    .executeTakeFirstOrThrow();
  return latest;
}

function subjectOf(entry: NewRevocation) {
  switch (entry.kind) {
    case 'session':
      return { sid: entry.sid, user_id: entry.userId, tenant_id: entry.tenantId };
    case 'member':
      return { user_id: entry.userId, tenant_id: entry.tenantId };
    case 'user':
      return { user_id: entry.userId };
    case 'tenant':
      return { tenant_id: entry.tenantId };
    case 'key':
      return { kid: entry.kid };
    case 'client':
      return { client_id: entry.clientId, tenant_id: entry.tenantId };
  }
}

/** Starts a new log. Old cursors become invalid, and every follower starts over. */
export async function renewLog(trx: Trx): Promise<void> {
  await trx.updateTable('revocation_log').set({ id: sql<string>`gen_random_uuid()::text` }).execute();
}

/**
 * The `iat` for a token of this person, this client or both in this tenant: now, but not before the latest revocation
 * that concerns it. Call it while holding the locks on the holder, so that a revocation is either visible here or comes
 * after the token.
 */
export async function issueTimeSec(
  trx: Trx,
  { tenantId, userId, clientId }: Readonly<{ tenantId: string; userId?: string; clientId?: string }>,
): Promise<number> {
  const { rows } = await sql<{ sec: number }>`
    select greatest(
      floor(extract(epoch from clock_timestamp())),
      (select extract(epoch from max(not_before)) from revocations
       where (kind = 'user' and user_id = ${userId ?? null})
          or (kind = 'tenant' and tenant_id = ${tenantId})
          or (kind = 'member' and user_id = ${userId ?? null} and tenant_id = ${tenantId})
          or (kind = 'client' and client_id = ${clientId ?? null} and tenant_id = ${tenantId}))
    )::bigint as sec`.execute(trx);
  const [row] = rows;
  if (row === undefined) throw new Error('the database returned no time');
  return row.sec;
}

export type Revocation = Readonly<{
  seq: number;
  kind: RevocationKind;
  sid: string | null;
  user_id: string | null;
  tenant_id: string | null;
  kid: string | null;
  client_id: string | null;
  not_before: Date;
  expires_at: Date;
}>;

/** Revocations of one kind that have the same times. */
export type RevocationGroup = Readonly<{
  kind: RevocationKind;
  not_before: Date;
  expires_at: Date;
  /** The revoked ids. Members are `<tenant_id> <user_id>`, and clients `<tenant_id> <client_id>`. */
  ids: readonly string[];
}>;

/**
 * Whether a batch lists each revocation, or groups those with the same times, which takes a fifth of the bytes and of
 * the work.
 */
export type FeedForm = 'items' | 'groups';

export type FeedBatch = Readonly<{
  log: string;
  /** The position after this batch. */
  cursor: number;
  /** Whether the batch reached the end of the log. */
  complete: boolean;
  /** Whether the batch starts at the beginning, because the given cursor belongs to another log. */
  fromStart: boolean;
  items: readonly Revocation[];
  groups: readonly RevocationGroup[];
}>;

export type FeedPosition = Readonly<{ log: string | undefined; after: number }>;

/**
 * One batch of revocations in force after a cursor. Starts from the beginning if the cursor belongs to another log or
 * is ahead of this one.
 */
export async function readFeed(db: AuthDatabase, position: FeedPosition, form: FeedForm = 'items'): Promise<FeedBatch> {
  return db.transaction({ role: roles.feed }, async (trx) => {
    const { id: log } = await trx.selectFrom('revocation_log').select('id').executeTakeFirstOrThrow();
    // Read before the batch: an entry written between the two statements is then in the batch, or after this head.
    const { head } = await trx
      .selectFrom('revocations')
      .select(sql<number>`coalesce(max(seq), 0)`.as('head'))
      .executeTakeFirstOrThrow();
    const fromStart = position.log !== log || position.after > head;
    const after = fromStart ? 0 : position.after;
    const { isFull, last = after, ...lists } = await (form === 'items' ? readItems : readGroups)(trx, after);
    return { log, cursor: isFull ? last : Math.max(last, head), complete: !isFull, fromStart, ...lists };
  });
}

type Lists = Pick<FeedBatch, 'items' | 'groups'> & Readonly<{ isFull: boolean; last: number | undefined }>;

const inForceAfter = (trx: Trx, after: number) =>
  trx
    .selectFrom('revocations')
    .where('seq', '>', after)
    .where('expires_at', '>', sql<Date>`clock_timestamp()`)
    .orderBy('seq');

async function readItems(trx: Trx, after: number): Promise<Lists> {
  const items = await inForceAfter(trx, after).selectAll().limit(batchSize).execute();
  return { items, groups: [], isFull: items.length === batchSize, last: items.at(-1)?.seq };
}

/** Grouped by Postgres: building 5,000 rows here would block the event loop longer than reading their ids. */
async function readGroups(trx: Trx, after: number): Promise<Lists> {
  const batch = inForceAfter(trx, after)
    .select(['seq', 'kind', 'not_before', 'expires_at'])
    .select(
      sql<string>`case kind when 'session' then sid when 'user' then user_id when 'tenant' then tenant_id when 'key' then kid
        when 'member' then tenant_id || ' ' || user_id when 'client' then tenant_id || ' ' || client_id end`.as('id'),
    )
    .limit(batchSize);
  const rows = await trx
    .selectFrom(batch.as('batch'))
    .select(['kind', 'not_before', 'expires_at'])
    .select([sql<string[]>`json_agg(id)`.as('ids'), sql<number>`max(seq)`.as('last')])
    .groupBy(['kind', 'not_before', 'expires_at'])
    .orderBy('last')
    .execute();
  const groups = rows.map(({ last: _last, ...group }) => group);
  const count = groups.reduce((sum, { ids }) => sum + ids.length, 0);
  return { items: [], groups, isFull: count === batchSize, last: rows.at(-1)?.last };
}
