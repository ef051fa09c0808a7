import { hashSecret } from '../../domain/clients/client-secret.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { inSeconds, now } from '../clock.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import type { Trx } from '../scope.ts';

/** What a login has established so far. The next step continues from here. */
export type Step = Readonly<{ userId: string; provenAt: Date; amr: readonly string[]; transport: Transport }>;

type NewStep = Step &
  (Readonly<{ purpose: 'tenant_selection' }> | Readonly<{ purpose: 'mfa'; tenantId: string }>) &
  Readonly<{ lifetimeSec: number }>;

export async function saveStep(db: AuthDatabase, token: string, step: NewStep): Promise<void> {
  await db.transaction({ role: roles.login, userId: step.userId }, (trx) =>
    trx
      .insertInto('one_time_tokens')
      .values({
        hash: hashSecret(token),
        purpose: step.purpose,
        user_id: step.userId,
        tenant_id: step.purpose === 'mfa' ? step.tenantId : null,
        amr: [...step.amr],
        transport: step.transport,
        created_at: step.provenAt,
        expires_at: inSeconds(step.lifetimeSec),
      })
      .execute(),
  );
}

/** Returns the person who must enter a code, and the tenant they chose. The token stays valid. */
export async function findMfaHolder(
  trx: Trx,
  token: string,
): Promise<Readonly<{ userId: string; tenantId: string }> | undefined> {
  const row = await trx
    .selectFrom('one_time_tokens')
    .select(['user_id as userId', 'tenant_id as tenantId'])
    .where('hash', '=', hashSecret(token))
    .where('purpose', '=', 'mfa')
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return row?.tenantId == null ? undefined : { userId: row.userId, tenantId: row.tenantId };
}

/**
 * Uses a token. Of two concurrent calls, one succeeds.
 *
 * @returns undefined if the token is unknown, used or expired.
 */
export function takeStep(trx: Trx, token: string, purpose: NewStep['purpose']): Promise<Step | undefined> {
  return trx
    .deleteFrom('one_time_tokens')
    .where('hash', '=', hashSecret(token))
    .where('purpose', '=', purpose)
    .where('expires_at', '>', now)
    .returning(['user_id as userId', 'created_at as provenAt', 'amr', 'transport'])
    .executeTakeFirst();
}
