import type { Generated, Selectable } from 'kysely';
import type { MailKind } from '../../domain/mail/mail-text.ts';

type MailOutboxTable = {
  tenant_id: string;
  id: string;
  complaint_id: string;
  kind: MailKind;
  /** `all` until the recipients are known. `reporter` is the person without an account. */
  recipient: 'all' | 'member' | 'reporter';
  /** Of a member. */
  user_id: string | null;
  /** The user who made the change, and gets no mail about it; only with `all`. */
  actor_id: string | null;
  /** So far, including the current one. */
  attempts: Generated<number>;
  /** The earliest time at which it is sent. */
  due_at: Generated<Date>;
  /** The end of an instance's lease. */
  leased_until: Generated<Date | null>;
  /** Why the last attempt failed. */
  last_error: Generated<string | null>;
  queued_at: Generated<Date>;
};

export type QueuedMail = Selectable<MailOutboxTable>;
export type MailTables = { mail_outbox: MailOutboxTable };
