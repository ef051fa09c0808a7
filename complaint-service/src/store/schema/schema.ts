import type { AttachmentTables } from './attachments.ts';
import type { CatalogueTables } from './catalogue.ts';
import type { ComplaintTables } from './complaints.ts';
import type { ErasureTables } from './erasure.ts';
import type { EventTables } from './events.ts';
import type { MailTables } from './mail.ts';
import type { StatisticsTables } from './statistics.ts';
import type { WebhookTables } from './webhooks.ts';

/** All tables, by subject. */
export type ComplaintsSchema = ComplaintTables &
  CatalogueTables &
  StatisticsTables &
  AttachmentTables &
  EventTables &
  WebhookTables &
  ErasureTables &
  MailTables;
