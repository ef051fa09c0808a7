import type { Migration } from '@countersign/database';
import { upkeepRole } from '../roles.ts';

/** Answers that were kept for repeated requests are removed in all tenants, an hour after none can be asked for again. */
export const expiredAnswersMigration: Migration = {
  name: '0028-expired-answers',
  statements: [
    `create index idempotency_keys_expired on idempotency_keys (created_at)`,
    `drop index idempotency_keys_by_age`,
    `grant select (created_at), delete on idempotency_keys to ${upkeepRole}`,
    `create policy upkeep on idempotency_keys to ${upkeepRole}
       using (created_at < statement_timestamp() - interval '25 hours') with check (false)`,
  ],
};
