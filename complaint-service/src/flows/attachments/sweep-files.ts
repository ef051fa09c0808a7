import { existingIds } from '../../store/attachments/attachments.ts';
import type { FlowParts } from '../parts.ts';

const batchSize = 500;
/** Longer than any upload takes, because its row is written last. */
const minAgeMs = 6 * 3600_000;

/**
 * Removes stored files without a row, from aborted uploads or interrupted deletions.
 *
 * @returns The number of removed files.
 */
export async function sweepFiles(
  { db, files, now }: Pick<FlowParts, 'db' | 'files' | 'now'>,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  let batch: string[] = [];
  const removeOrphans = async () => {
    if (batch.length === 0) return;
    const existing = await existingIds(db, batch);
    for (const id of batch) {
      if (existing.has(id)) continue;
      await files.remove(id);
      removed += 1;
    }
    batch = [];
  };
  for await (const id of files.oldFiles(now().getTime() - minAgeMs)) {
    batch.push(id);
    if (batch.length === batchSize) await removeOrphans();
    if (signal.aborted) return removed;
  }
  await removeOrphans();
  return removed;
}
