import { sql, type Transaction } from 'kysely';
import type { AuthSchema } from './schema.ts';

export type Trx = Transaction<AuthSchema>;

const setting = (name: string) => async (trx: Trx, value: string) => {
  await sql`select set_config(${name}, ${value}, true)`.execute(trx);
};

/** Gives the transaction access to this user's rows. Call this only after identifying the user. */
export const becomeUser = setting('app.user_id');

/**
 * Gives the transaction access to this tenant's rows. It can switch tenants, to work on one person's sessions in
 * several tenants.
 */
export const enterTenant = setting('app.tenant_id');

/** Switches the transaction to this role and its privileges. */
export const actAs = setting('role');

/** Gives the transaction access to this OAuth client's row, to authenticate it. */
export const becomeOAuthClient = setting('app.client_id');
