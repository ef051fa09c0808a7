import { insert, removing, rowsWith } from '@countersign/database';
import { hashSecret } from '../../domain/clients/client-secret.ts';
import type { MailedTokenPurpose } from '../schema.ts';
import { inSeconds, now, type Trx } from '../transaction.ts';

export type MailedTokenSubject =
  | Readonly<{ purpose: 'email_verification'; registration_id: string }>
  | Readonly<{ purpose: 'password_reset'; user_id: string }>
  | Readonly<{ purpose: 'invitation'; invitation_id: string; tenant_id: string }>;

/** Stores a token's hash. A subject can have several tokens, so that both copies of a repeated email work. */
export const saveMailedToken = (
  trx: Trx,
  token: string,
  { subject, lifetimeSec }: Readonly<{ subject: MailedTokenSubject; lifetimeSec: number }>,
): Promise<void> =>
  insert(trx, 'mailed_tokens', { ...subject, hash: hashSecret(token), expires_at: inSeconds(lifetimeSec) });

/** Returns the address that a token confirms. The token stays valid. */
export async function findVerification(trx: Trx, token: string): Promise<string | undefined> {
  const found = await findToken(trx, token, 'email_verification');
  if (!found?.registration_id) return undefined;
  const registration = rowsWith(trx, 'registrations', { id: found.registration_id }).where('expires_at', '>', now);
  return (await registration.select('email_ci').executeTakeFirst())?.email_ci;
}

/** Returns the id of the user whose password a token can reset. The token stays valid. */
export async function findReset(trx: Trx, token: string): Promise<string | undefined> {
  return (await findToken(trx, token, 'password_reset'))?.user_id ?? undefined;
}

/** Finds a token's invitation, which may have been accepted or withdrawn, or have expired. */
export async function findInvitationToken(
  trx: Trx,
  token: string,
): Promise<Readonly<{ invitationId: string; tenantId: string }> | undefined> {
  const found = await findToken(trx, token, 'invitation');
  if (!found?.invitation_id || !found.tenant_id) return undefined;
  return { invitationId: found.invitation_id, tenantId: found.tenant_id };
}

const findToken = (trx: Trx, token: string, purpose: MailedTokenPurpose) =>
  rowsWith(trx, 'mailed_tokens', { hash: hashSecret(token), purpose })
    .select(['registration_id', 'user_id', 'invitation_id', 'tenant_id'])
    .where('expires_at', '>', now)
    .executeTakeFirst();

/** Uses a token. Of two concurrent calls, one succeeds. @returns Whether the token was valid. */
export async function takeToken(trx: Trx, token: string, purpose: MailedTokenPurpose): Promise<boolean> {
  const tokens = removing(trx, 'mailed_tokens', { hash: hashSecret(token), purpose });
  return (await tokens.where('expires_at', '>', now).executeTakeFirst()).numDeletedRows > 0n;
}
