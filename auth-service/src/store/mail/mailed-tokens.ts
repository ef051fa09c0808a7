import { hashSecret } from '../../domain/clients/client-secret.ts';
import { inSeconds, now } from '../clock.ts';
import type { MailedTokenPurpose } from '../schema.ts';
import type { Trx } from '../scope.ts';

export type MailedTokenSubject =
  | Readonly<{ purpose: 'email_verification'; registration_id: string }>
  | Readonly<{ purpose: 'password_reset'; user_id: string }>
  | Readonly<{ purpose: 'invitation'; invitation_id: string; tenant_id: string }>;

/** Stores a token's hash. A subject can have several tokens, so that both copies of a repeated email work. */
export async function saveMailedToken(
  trx: Trx,
  token: string,
  { subject, lifetimeSec }: Readonly<{ subject: MailedTokenSubject; lifetimeSec: number }>,
): Promise<void> {
  await trx
    .insertInto('mailed_tokens')
    .values({ ...subject, hash: hashSecret(token), expires_at: inSeconds(lifetimeSec) })
    .execute();
}

/** Returns the address that a token confirms. The token stays valid. */
export async function findVerification(trx: Trx, token: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom('mailed_tokens')
    .innerJoin('registrations', 'registrations.id', 'mailed_tokens.registration_id')
    .select('registrations.email_ci as email')
    .where('mailed_tokens.hash', '=', hashSecret(token))
    .where('mailed_tokens.purpose', '=', 'email_verification')
    .where('mailed_tokens.expires_at', '>', now)
    .where('registrations.expires_at', '>', now)
    .executeTakeFirst();
  return row?.email;
}

/** Returns the id of the user whose password a token can reset. The token stays valid. */
export async function findReset(trx: Trx, token: string): Promise<string | undefined> {
  return (await findToken(trx, token, 'password_reset'))?.user_id ?? undefined;
}

/** Deletes all password-reset tokens of this person. */
export async function dropResets(trx: Trx, userId: string): Promise<void> {
  await trx.deleteFrom('mailed_tokens').where('user_id', '=', userId).execute();
}

/** Finds a token's invitation, which may have been accepted or withdrawn, or have expired. */
export async function findInvitationToken(
  trx: Trx,
  token: string,
): Promise<Readonly<{ invitationId: string; tenantId: string }> | undefined> {
  const row = await findToken(trx, token, 'invitation');
  if (row === undefined || row.invitation_id === null || row.tenant_id === null) return undefined;
  return { invitationId: row.invitation_id, tenantId: row.tenant_id };
}

/** Uses a token. Of two concurrent calls, one succeeds. @returns Whether the token was valid. */
export async function takeToken(trx: Trx, token: string, purpose: MailedTokenPurpose): Promise<boolean> {
  const row = await trx
    .deleteFrom('mailed_tokens')
    .where('hash', '=', hashSecret(token))
    .where('purpose', '=', purpose)
    .where('expires_at', '>', now)
    .returning('hash')
    .executeTakeFirst();
  return row !== undefined;
}

function findToken(trx: Trx, token: string, purpose: MailedTokenPurpose) {
  return trx
    .selectFrom('mailed_tokens')
    .select(['user_id', 'invitation_id', 'tenant_id'])
    .where('hash', '=', hashSecret(token))
    .where('purpose', '=', purpose)
    .where('expires_at', '>', now)
    .executeTakeFirst();
}
