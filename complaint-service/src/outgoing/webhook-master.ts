import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFile } from '@countersign/process-kit';

/**
 * Returns the master secret for webhook keys: the configured one, or one in a file that is created once.
 *
 * @param home Shared by all instances, like the stored attachments.
 */
export function webhookMaster(home: string, configured: string | undefined): Buffer {
  if (configured !== undefined) return Buffer.from(configured);
  const file = join(home, 'complaint-webhook.key');
  mkdirSync(home, { recursive: true });
  // If another instance just created the file, its secret is used.
  createFile(file, `${randomBytes(32).toString('base64url')}\n`, 0o600);
  return Buffer.from(readFileSync(file, 'utf8').trim());
}
