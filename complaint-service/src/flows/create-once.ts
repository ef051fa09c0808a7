import { createHash } from 'node:crypto';
import type { UserIdentity } from '@countersign/identity';
import { AppError } from '../errors.ts';
import { claimKey, keepAnswer } from '../store/idempotency-keys.ts';
import type { Trx } from '../store/schema.ts';
import type { FlowParts } from './parts.ts';

const keptMs = 24 * 3_600_000;

export type Idempotent = Readonly<{
  /** Undefined if the request has no key, so that it cannot be repeated safely. */
  key: string | undefined;
  /** The operation and its input. A different request with the same key is refused. */
  request: readonly unknown[];
}>;

export type Created<Answer> = Readonly<{ complaintId: string; answer: Answer }>;

/**
 * Creates something once for each user's key, in the same transaction as the key. For 24 hours, a repeated request gets
 * the first response. A concurrent one waits for the first. A failed creation stores no key, so it can be retried.
 *
 * @throws AppError `idempotency_key_reused` if the key was sent with a different request.
 * @see draft-ietf-httpapi-idempotency-key-header
 */
export async function createOnce<Answer>(
  trx: Trx,
  { now }: Pick<FlowParts, 'now'>,
  user: UserIdentity,
  { key, request }: Idempotent,
  create: () => Promise<Created<Answer>>,
): Promise<Answer> {
  if (key === undefined) return (await create()).answer;
  const fingerprint = createHash('sha256').update(JSON.stringify(request)).digest();
  const repeatable = { tenantId: user.tenantId, userId: user.userId, key, fingerprint };
  const claim = await claimKey(trx, repeatable, { now: now(), keptMs });
  if (!claim.isNew) {
    if (!claim.fingerprint.equals(fingerprint)) throw new AppError('idempotency_key_reused');
    return claim.answer as Answer;
  }
  const created = await create();
  await keepAnswer(trx, repeatable, created);
  return created.answer;
}
