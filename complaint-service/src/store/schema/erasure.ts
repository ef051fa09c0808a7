import type { Generated, Selectable } from 'kysely';

type RetentionPoliciesTable = {
  tenant_id: string;
  /** How many days finished complaints are kept after their last change. Null keeps them forever. */
  closed_days: number | null;
  action: 'anonymise' | 'delete';
  /** Whether an erased person's texts are kept. */
  texts: 'keep' | 'remove';
  updated_by: string;
  updated_at: Date;
};

type ErasuresTable = {
  tenant_id: string;
  id: string;
  kind: 'person' | 'retention';
  /** The person to erase. */
  user_id: string | null;
  texts: 'keep' | 'remove' | null;
  requested_by: string | null;
  /** The session and request that scheduled the erasure. */
  session_id: Generated<string | null>;
  request_id: Generated<string | null>;
  requested_at: Date;
  /** The earliest time of the erasure. */
  due_at: Date;
  cancelled_at: Generated<Date | null>;
  /** An admin, or this service if the person became an active member again. */
  cancelled_by: Generated<string | null>;
  finished_at: Date | null;
  complaints: Generated<number>;
  comments: Generated<number>;
  attachments: Generated<number>;
};

export type RetentionPolicy = Selectable<RetentionPoliciesTable>;
export type Erasure = Selectable<ErasuresTable>;
export type ErasureTables = { retention_policies: RetentionPoliciesTable; erasures: ErasuresTable };
