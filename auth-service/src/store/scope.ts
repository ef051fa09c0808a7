import { sql, type Transaction } from 'kysely';
import type { AuthSchema } from './schema.ts';

export type Trx = Transaction<AuthSchema>;

/** Gives the transaction access to this user's rows. Call this only after identifying the user. */
export async function becomeUser(trx: Trx, userId: string): Promise<void> {
  await sql`select set_config('app.user_id', ${userId}, true)`.execute(trx);
}

/**
 * Gives the transaction access to this tenant's rows. It can switch tenants, to work on one person's sessions in
 * several tenants.
 */
export async function enterTenant(trx: Trx, tenantId: string): Promise<void> {
  await sql`select set_config('app.tenant_id', ${tenantId}, true)`.execute(trx);
}

/** Switches the transaction to this role and its privileges. */
export async function actAs(trx: Trx, role: string): Promise<void> {
  await sql`select set_config('role', ${role}, true)`.execute(trx);
}

/** Gives the transaction access to this OAuth client's row, to authenticate it. */
export async function becomeOAuthClient(trx: Trx, clientId: string): Promise<void> {
  await sql`select set_config('app.client_id', ${clientId}, true)`.execute(trx);
}
