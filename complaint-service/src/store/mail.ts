import { insert, notify, type OutboxRows, outboxRows, remove, rowsWith, update } from '@countersign/database';
import { sql } from 'kysely';
import { digestEveryMs, type Mailed, type MailKind, type Recipient } from '../domain/mail/recipients.ts';
import type { Refusal } from '../domain/mail/unsubscribe.ts';
import { openMail } from './migrations/mails.ts';
import { mailerRole } from './roles.ts';
import type { ComplaintsDatabase, ScopeUser, Trx } from './schema.ts';
import type { Comment, HistoryEntry, QueuedMail } from './tables.ts';

/** The channel that wakes the mail couriers in all instances. */
export const mailChannel = 'countersign_complaint_mail';

/** Runs a transaction in one tenant, to find recipients. */
export const asMailer = <T>(db: ComplaintsDatabase, tenantId: string, work: (trx: Trx) => Promise<T>) =>
  db.transaction({ role: mailerRole, tenantId }, work);

/** Queues the emails about a change, in its transaction. */
export async function addChange(
  trx: Trx,
  change: Pick<QueuedMail, 'tenant_id' | 'id' | 'complaint_id' | 'kind' | 'actor_id' | 'changes'>,
): Promise<void> {
  await insert(trx, 'mails', change);
  await notify(trx, mailChannel);
}

/** Drops the tenant's queued emails, at the end of a transaction: it continues as the mailer. */
export async function dropMail(trx: Trx): Promise<void> {
  await sql`select set_config('role', ${mailerRole}, true)`.execute(trx);
  await sql`delete from mails where tenant_id = current_setting('app.tenant_id')`.execute(trx);
}

/** The waiting emails in all tenants. A change whose recipients are not known yet counts as one. */
export function mailsOf(db: ComplaintsDatabase): OutboxRows<QueuedMail> {
  return outboxRows({
    db,
    role: mailerRole,
    topic: 'mail',
    table: 'mails',
    key: ['tenant_id', 'id'],
    order: sql`o.due_at`,
    since: 'queued_at',
  });
}

type MailedComplaint = Mailed & Readonly<{ number: string }>;

/** The complaint members that decide who gets an email. */
export function findMailed(trx: Trx, id: string): Promise<MailedComplaint | undefined> {
  const columns = [
    'number',
    'complainant_id',
    'assignee_id',
    'team_id',
    'contact_preference',
    'reporter_email',
  ] as const;
  return rowsWith(trx, 'complaints', { id }).select(columns).executeTakeFirst();
}

/** Lists who hears of new complaints: the members of the team, or all agents if there is no team with members. */
export async function listTeamStaff(trx: Trx, tenantId: string, teamId: string | null): Promise<string[]> {
  const members = rowsWith(trx, 'team_members', { tenant_id: tenantId, team_id: teamId as string }).select('user_id');
  const team = teamId === null ? [] : await members.execute();
  const agents = rowsWith(trx, 'members', { tenant_id: tenantId, role: 'agent', status: 'active' }).select('user_id');
  const found = team.length > 0 ? team : await agents.execute();
  return found.map(({ user_id }) => user_id);
}

/**
 * Replaces a change with one email for each recipient, or adds it to an email that waits for further changes. Does
 * nothing if another instance has done this.
 */
export async function spreadChange(
  trx: Trx,
  { tenant_id, id, complaint_id, changes }: QueuedMail,
  { recipients, burstMs }: Readonly<{ recipients: readonly Recipient[]; burstMs: number }>,
): Promise<void> {
  if (!(await remove(trx, 'mails', { tenant_id, id }))) return;
  for (const { kind, user_id } of recipients) {
    const [about, what] = kind === 'digest' ? [null, [complaint_id]] : [complaint_id, changes];
    const waitMs = kind === 'receipt' ? 0 : burstMs;
    await sql`
      with due as (select greatest(date_trunc('milliseconds', statement_timestamp()) + make_interval(secs => ${waitMs / 1000}::float8),
        (select digest_at + make_interval(secs => ${digestEveryMs / 1000}::float8) from mail_people
          where ${kind}::text = 'digest' and tenant_id = ${tenant_id} and person = ${user_id})) as at)
      insert into mails as waiting (tenant_id, id, kind, complaint_id, user_id, changes, due_at, queued_at)
      select ${tenant_id}, gen_random_uuid(), ${kind}, ${about}::uuid, ${user_id}, ${what}::uuid[], at, at from due
      on conflict (${sql.raw(openMail)}) where actor_id is null and not frozen
      do update set changes = waiting.changes || excluded.changes`.execute(trx);
  }
}

/** What an email needs besides its texts. */
export type Frozen = Readonly<{
  changes: readonly string[];
  refused: readonly string[];
  organization: string | undefined;
}>;

/** Ends the collection of changes, so that each attempt sends the same ones. */
export async function freezeMail(trx: Trx, mail: QueuedMail, person: string): Promise<Frozen> {
  const { tenant_id, id, kind, frozen } = mail;
  if (!frozen) {
    await update(trx, 'mails', { tenant_id, id }, { frozen: true });
    if (kind === 'digest') {
      await sql`insert into mail_people (tenant_id, person, digest_at) values (${tenant_id}, ${person}, clock_timestamp())
        on conflict (tenant_id, person) do update set digest_at = clock_timestamp()`.execute(trx);
    }
  }
  const row = await rowsWith(trx, 'mails', { tenant_id, id }).select('changes').executeTakeFirst();
  const known = await rowsWith(trx, 'mail_people', { tenant_id, person }).select('refused').executeTakeFirst();
  const named = await rowsWith(trx, 'organizations', { tenant_id }).select('name').executeTakeFirst();
  return { changes: row?.changes ?? [], refused: known?.refused ?? [], organization: named?.name };
}

/** Stores that a person wants no more emails of a kind. */
export function refuseMail(db: ComplaintsDatabase, { tenantId, person, kind }: Refusal): Promise<unknown> {
  return asMailer(db, tenantId, (trx) =>
    sql`insert into mail_people as known (tenant_id, person, refused) values (${tenantId}, ${person}, ${[kind]}::text[])
      on conflict (tenant_id, person) do update set refused =
        array_append(array_remove(known.refused, ${kind}::text), ${kind}::text)`.execute(trx),
  );
}

/** Returns what a user has unsubscribed from. */
export function listRefused(db: ComplaintsDatabase, { tenantId, userId }: ScopeUser): Promise<MailKind[]> {
  return asMailer(db, tenantId, async (trx) => {
    const person = rowsWith(trx, 'mail_people', { tenant_id: tenantId, person: userId });
    return (await person.select('refused').executeTakeFirst())?.refused ?? [];
  });
}

/** Reverts {@link refuseMail}. */
export function acceptMail(db: ComplaintsDatabase, { tenantId, userId }: ScopeUser, kind: MailKind): Promise<unknown> {
  return asMailer(db, tenantId, (trx) =>
    sql`update mail_people set refused = array_remove(refused, ${kind}::text)
      where tenant_id = ${tenantId} and person = ${userId}`.execute(trx),
  );
}

/** Reads the changes that the transaction's user can see. */
export async function readChanges(
  trx: Trx,
  ids: readonly string[],
): Promise<Readonly<{ history: HistoryEntry[]; comments: Comment[] }>> {
  const isWanted = sql<boolean>`id = any(${ids}::uuid[])`;
  return {
    history: await trx.selectFrom('history').selectAll().where(isWanted).execute(),
    comments: await trx.selectFrom('comments').selectAll().where(isWanted).execute(),
  };
}
