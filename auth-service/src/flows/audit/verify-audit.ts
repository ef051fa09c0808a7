import { auditHash, chainStart, listChains, readChain } from '../../store/audit/audit.ts';
import { type AuthDatabase, roles } from '../../store/transaction.ts';

export type ChainReport = Awaited<ReturnType<typeof verifyChain>>;

/** Recomputes every chain of the audit log. @param noted A hash that was recorded earlier, in hex. */
export async function verifyAudit(db: AuthDatabase, noted?: string): Promise<ChainReport[]> {
  const chains = await db.transaction({ role: roles.operator }, listChains);
  const reports: ChainReport[] = [];
  for (const tenantId of chains) reports.push(await verifyChain(db, tenantId, noted));
  return reports;
}

/** @returns `brokenAt`, the first entry whose hash does not match, and `notedAt`, the entry with the noted hash. */
async function verifyChain(db: AuthDatabase, tenantId: string, noted: string | undefined) {
  let previous: Buffer = chainStart;
  let entries = 0;
  let notedAt: number | undefined;
  const report = (brokenAt: number | undefined) => ({
    tenantId,
    entries,
    /** A comparison with an earlier copy also reveals a truncated chain. */
    head: previous.toString('hex'),
    brokenAt,
    notedAt,
  });
  for (;;) {
    // The first batch has no lower bound, so that it includes entries inserted before entry 1.
    const after = entries === 0 ? undefined : entries;
    const batch = await db.transaction({ role: roles.operator }, (trx) => readChain(trx, tenantId, after));
    for (const stored of batch) {
      const expected = auditHash(previous, stored);
      const follows = stored.seq === entries + 1 && previous.equals(stored.prev_hash) && expected.equals(stored.hash);
      if (!follows) return report(stored.seq);
      previous = expected;
      entries += 1;
      if (expected.toString('hex') === noted) notedAt = entries;
    }
    if (batch.length === 0) return report(undefined);
  }
}
