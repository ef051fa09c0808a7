import { insert, notify } from '@countersign/database';
import { sql } from 'kysely';
import { keyRevocationInForceSec, revocationInForceSec } from '../../domain/sessions/session-rules.ts';
import { delegatedFrom } from '../clients/delegations.ts';
import type { Row } from '../schema.ts';
import { type AuthDatabase, holdLock, now, roles, type Trx } from '../transaction.ts';

export const revocationsChannel = 'countersign_revocations';
export const batchSize = 5_000;
const rowsPerInsert = 1_000;

export type NewRevocation =
  | Readonly<{ kind: 'session'; sid: string; user_id: string; tenant_id: string }>
  | Readonly<{ kind: 'member'; user_id: string; tenant_id: string }>
  | Readonly<{ kind: 'user'; user_id: string }>
  | Readonly<{ kind: 'tenant'; tenant_id: string }>
  | Readonly<{ kind: 'key'; kid: string }>
  | Readonly<{ kind: 'client'; client_id: string; tenant_id: string }>;

/**
 * Appends entries to the log. Must be the last statement of a transaction, after its FOR UPDATE locks.
 *
 * The lock is held until the commit, so that entries become visible in the order of their numbers. Otherwise a cursor
 * could pass a lower number that commits later.
 *
 * A revocation covers tokens with an `iat` before its `not_before`. That is the next whole second, because `iat` has
 * whole seconds. A stolen key can sign any `iat`, so the `not_before` of a key is the entry's expiry. Entries for
 * tenants and OAuth clients start one second after all earlier revocations that `issueTimeSec` counts: a token issued
 * in that same second has such a `not_before` as its `iat`, and must be covered too. The extra second is always added,
 * because a role does not see all revocations.
 */
export async function appendRevocations(trx: Trx, entries: readonly NewRevocation[]): Promise<void> {
  if (entries.length === 0) return;
  const all = [...entries, ...(await delegatedEntries(trx, entries))];
  await notify(trx, revocationsChannel);
  await holdLock(trx, 'revocationLog');
  const notBefore = sql<Date>`date_trunc('second', clock_timestamp()) + interval '1 second'`;
  const latest = await latestAmong(trx, entries);
  const afterOthers = sql<Date>`greatest(${notBefore}, ${latest}::timestamptz) + interval '1 second'`;
  const timesOf = ({ kind }: NewRevocation) => {
    const start = kind === 'tenant' || kind === 'client' ? afterOthers : notBefore;
    const inForceSec = kind === 'key' ? keyRevocationInForceSec : revocationInForceSec;
    const end = sql<Date>`${start} + make_interval(secs => ${inForceSec}::int)`;
    return { not_before: kind === 'key' ? end : start, expires_at: end };
  };
  const rows = all.map((entry) => ({ ...entry, ...timesOf(entry) }));
  // A statement can have at most 65,535 parameters.
  for (let from = 0; from < rows.length; from += rowsPerInsert)
    await insert(trx, 'revocations', rows.slice(from, from + rowsPerInsert));
}

/** Ending a session also ends its delegations. No delegation can be added meanwhile, because `delegate` locks the session. */
async function delegatedEntries(trx: Trx, entries: readonly NewRevocation[]): Promise<NewRevocation[]> {
  const sids = entries.flatMap((entry) => (entry.kind === 'session' ? [entry.sid] : []));
  return (await delegatedFrom(trx, sids)).map((delegation) => ({ kind: 'session', ...delegation }));
}

/**
 * Returns the latest `not_before` that may be the `iat` of a token in these tenants or of these OAuth clients. One
 * query for all tenants, because thousands of queries would each scan all users' entries.
 */
async function latestAmong(trx: Trx, entries: readonly NewRevocation[]): Promise<Date | null> {
  const tenants = entries.flatMap((entry) => (entry.kind === 'tenant' ? [entry.tenant_id] : []));
  const oauthClients = entries.flatMap((entry) => (entry.kind === 'client' ? [entry] : []));
  const concerned = [...tenants, ...oauthClients.map(({ tenant_id }) => tenant_id)];
  if (concerned.length === 0) return null;
  const { latest } = await trx
    .selectFrom('revocations')
    .select(sql<Date | null>`max(not_before)`.as('latest'))
    .where((is) =>
      is.or([
        is('kind', '=', 'user'),
        is.and([is('kind', 'in', ['member', 'tenant']), is('tenant_id', 'in', concerned)]),
        ...(tenants.length === 0 ? [] : [is.and([is('kind', '=', 'client'), is('tenant_id', 'in', tenants)])]),
        // Ignores other OAuth clients: each entry would push the next OAuth client's tokens a second further ahead.
        ...oauthClients.map(({ tenant_id, client_id }) =>
          is.and([is('kind', '=', 'client'), is('tenant_id', '=', tenant_id), is('client_id', '=', client_id)]),
        ),
      ]),
    )
    .executeTakeFirstOrThrow();
  return latest;
}

/** Starts a new log. Existing cursors become invalid, and every follower starts over. */
export async function renewLog(trx: Trx): Promise<void> {
  await trx.updateTable('revocation_log').set({ id: sql<string>`gen_random_uuid()::text` }).execute();
}

/**
 * Returns the `iat` for a token of this person, this OAuth client, or both: the current time or the latest revocation
 * that concerns them. Call this while holding the locks on them, so that a revocation is either visible here or comes
 * after the token.
 */
export async function issueTimeSec(
  trx: Trx,
  { tenantId, userId, clientId }: Readonly<{ tenantId: string; userId?: string; clientId?: string }>,
): Promise<number> {
  const latest = sql<number>`greatest(
    floor(extract(epoch from clock_timestamp())),
    (select extract(epoch from max(not_before)) from revocations
     where (kind = 'user' and user_id = ${userId ?? null})
        or (kind = 'tenant' and tenant_id = ${tenantId})
        or (kind = 'member' and user_id = ${userId ?? null} and tenant_id = ${tenantId})
        or (kind = 'client' and client_id = ${clientId ?? null} and tenant_id = ${tenantId}))
  )::bigint`;
  return (await trx.selectNoFrom(latest.as('sec')).executeTakeFirstOrThrow()).sec;
}

export type Revocation = Row<'revocations'>;

/** Revocations with the same kind and times. Ids may have two parts: `<tenant_id> <user_id>` or `<client_id>`. */
type RevocationGroup = Pick<Revocation, 'kind' | 'not_before' | 'expires_at'> & Readonly<{ ids: readonly string[] }>;

/** `groups` combines revocations with the same times, which takes a fifth of the bytes and the work. */
export type FeedForm = 'items' | 'groups';

export type FeedBatch = Awaited<ReturnType<typeof readFeed>>;

/**
 * Reads a batch of active revocations after a cursor. Starts from the beginning if the cursor belongs to a different
 * log or is ahead of this one: `fromStart`.
 *
 * @returns `cursor`, the position after the batch, and `complete`, whether the batch reached the end of the log.
 */
export async function readFeed(
  db: AuthDatabase,
  position: Readonly<{ log: string | undefined; after: number }>,
  form: FeedForm = 'items',
) {
  return db.transaction({ role: roles.feed }, async (trx) => {
    const { id: log } = await trx.selectFrom('revocation_log').select('id').executeTakeFirstOrThrow();
    // Reads this before the batch: an entry written meanwhile is then either in the batch or after this head.
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

type Lists = Readonly<{
  items: readonly Revocation[];
  groups: readonly RevocationGroup[];
  isFull: boolean;
  last: number | undefined;
}>;

const inForceAfter = (trx: Trx, after: number) =>
  trx.selectFrom('revocations').where('seq', '>', after).where('expires_at', '>', now).orderBy('seq');

async function readItems(trx: Trx, after: number): Promise<Lists> {
  const items = await inForceAfter(trx, after).selectAll().limit(batchSize).execute();
  return { items, groups: [], isFull: items.length === batchSize, last: items.at(-1)?.seq };
}

/** Postgres groups the rows, because handling 5,000 rows here would block the event loop for too long. */
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
