import { countRows, rowsWith, update } from '@countersign/database';
import { sql } from 'kysely';
import { upkeepRole } from './roles.ts';
import type { ComplaintsDatabase, Trx } from './schema.ts';
import type { Attachment } from './tables.ts';

/** Lists the attachments of a complaint that the transaction's user can see, oldest first. */
export function listAttachments(trx: Trx, complaintId: string): Promise<Attachment[]> {
  return rowsWith(trx, 'attachments', { complaint_id: complaintId }).selectAll().orderBy('id').execute();
}

type Place = Readonly<{ complaintId: string; id: string }>;

export function findAttachment(trx: Trx, { complaintId, id }: Place): Promise<Attachment | undefined> {
  return rowsWith(trx, 'attachments', { complaint_id: complaintId, id }).selectAll().executeTakeFirst();
}

export async function countAttachments(trx: Trx, complaintId: string): Promise<number> {
  const all = rowsWith(trx, 'attachments', { complaint_id: complaintId });
  return (await all.select(countRows).executeTakeFirstOrThrow()).count;
}

/**
 * Reserves attachment storage. The row stays locked until the transaction ends, so that two uploads never share the
 * last bytes.
 *
 * @returns False if the tenant has too little storage left.
 */
export async function takeSpace(
  trx: Trx,
  { tenantId, bytes, most }: Readonly<{ tenantId: string; bytes: number; most: number }>,
): Promise<boolean> {
  const { rows } = await sql`
    insert into attachment_space as taken (tenant_id, bytes)
    select ${tenantId}::text, ${bytes}::bigint where ${bytes}::bigint <= ${most}::bigint
    on conflict (tenant_id) do update set bytes = taken.bytes + excluded.bytes
      where taken.bytes + excluded.bytes <= ${most}::bigint
    returning bytes`.execute(trx);
  return rows.length > 0;
}

/**
 * Finds the attachment that must leave the window before a user can add these bytes. Call this after {@link takeSpace},
 * whose lock serializes a tenant's uploads.
 *
 * @returns When the attachment was added. Undefined if the bytes fit.
 */
export async function limitingAttachment(
  trx: Trx,
  { userId, since, bytes, most }: Readonly<{ userId: string; since: Date; bytes: number; most: number }>,
): Promise<Date | undefined> {
  const { rows } = await sql<{ created_at: Date }>`
    select created_at from (
      select created_at, sum(bytes) over (order by created_at desc, id desc) as total
      from attachments where uploader_id = ${userId} and created_at > ${since}) newest
    where total + ${bytes}::bigint > ${most}::bigint
    order by total limit 1`.execute(trx);
  return rows[0]?.created_at;
}

export async function returnSpace(trx: Trx, tenantId: string, bytes: number): Promise<void> {
  await update(trx, 'attachment_space', { tenant_id: tenantId }, { bytes: (of) => of('bytes', '-', bytes) });
}

/** Returns which of these ids belong to an attachment, in any tenant. */
export async function existingIds(db: ComplaintsDatabase, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await db.transaction({ role: upkeepRole }, (trx) =>
    trx.selectFrom('attachments').select('id').where('id', 'in', ids).execute(),
  );
  return new Set(rows.map(({ id }) => id));
}
