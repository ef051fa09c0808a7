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
  /** Failed so far. */
  attempts: Generated<number>;
  /** Nothing is sent before. Moved ahead while an instance sends the mail. */
  due_at: Generated<Date>;
  queued_at: Generated<Date>;
};

export type QueuedMail = Selectable<MailOutboxTable>;
export type MailTables = { mail_outbox: MailOutboxTable };
