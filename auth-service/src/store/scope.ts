import { sql, type Transaction } from 'kysely';
import type { AuthSchema } from './schema.ts';

export type Trx = Transaction<AuthSchema>;

/** From here on the transaction sees this person's rows: for when the person is only learnt inside it. */
export async function becomeUser(trx: Trx, userId: string): Promise<void> {
  await sql`select set_config('app.user_id', ${userId}, true)`.execute(trx);
}

/** From here on the transaction sees this tenant's rows; for work on one person's sessions in several tenants. */
export async function enterTenant(trx: Trx, tenantId: string): Promise<void> {
  await sql`select set_config('app.tenant_id', ${tenantId}, true)`.execute(trx);
}

/** From here on the transaction may do what this role may, and no longer what the one before might. */
export async function actAs(trx: Trx, role: string): Promise<void> {
  await sql`select set_config('role', ${role}, true)`.execute(trx);
}
