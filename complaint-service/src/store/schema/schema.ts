import type { AttachmentTables } from './attachments.ts';
import type { CatalogueTables } from './catalogue.ts';
import type { ComplaintTables } from './complaints.ts';
import type { EventTables, MailTables, WebhookTables } from './deliveries.ts';
import type { ErasureTables } from './erasure.ts';

/** All tables, by subject. */
export type ComplaintsSchema = ComplaintTables &
  CatalogueTables &
  StatisticsTables &
  AttachmentTables &
  EventTables &
  WebhookTables &
  ErasureTables &
  MailTables;

type ByStatusTable = { tenant_id: string; category_id: string; status: string; complaints: number };
type ByAgeTable = { tenant_id: string; filed_on: string; complaints: number };
type TimesTable = {
  tenant_id: string;
  month: string;
  measure: 'first_answer' | 'resolution';
  category_id: string;
  bucket: number;
  complaints: number;
  seconds: number;
  with_target: number;
  on_time: number;
};

export type StatisticsTables = {
  statistics_by_status: ByStatusTable;
  statistics_by_age: ByAgeTable;
  statistics_times: TimesTable;
};
