import type { Migration } from '@countersign/database';
import { complaintsMigration } from './0001-complaints.ts';
import { termsMigration } from './0002-terms.ts';
import { commentsAndHistoryMigration } from './0003-comments-and-history.ts';
import { numberedListsMigration } from './0004-numbered-lists.ts';
import { writesOfAUserMigration } from './0005-writes-of-a-user.ts';
import { catalogueMigration } from './0006-catalogue.ts';
import { complaintDetailsMigration } from './0007-complaint-details.ts';
import { watchersMigration } from './0008-watchers.ts';
import { statisticsMigration } from './0009-statistics.ts';
import { membersMigration } from './0010-members.ts';
import { idempotencyKeysMigration } from './0011-idempotency-keys.ts';
import { requestPoliciesMigration } from './0012-request-policies.ts';
import { attachmentsMigration } from './0020-attachments.ts';
import { eventsMigration } from './0021-events.ts';
import { webhooksMigration } from './0022-webhooks.ts';
import { erasureMigration } from './0023-erasure.ts';
import { mailOutboxMigration } from './0024-mail-outbox.ts';
import { attachedByDayMigration } from './0025-attached-by-day.ts';
import { erasingActiveComplaintsMigration } from './0026-erasing-active-complaints.ts';
import { readersMigration } from './0027-readers.ts';
import { expiredAnswersMigration } from './0028-expired-answers.ts';
import { upkeepByIndexMigration } from './0029-upkeep-by-index.ts';
import { erasingWaitingDeliveriesMigration } from './0030-erasing-waiting-deliveries.ts';
import { eventIdsMigration } from './0031-event-ids.ts';
import { closedCatalogueMigration } from './0032-closed-catalogue.ts';
import { scheduledErasuresMigration } from './0033-scheduled-erasures.ts';

/** All migrations in order, one subject each. The statements of a released one never change. */
export const migrations: readonly Migration[] = [
  complaintsMigration,
  termsMigration,
  commentsAndHistoryMigration,
  numberedListsMigration,
  writesOfAUserMigration,
  catalogueMigration,
  complaintDetailsMigration,
  watchersMigration,
  statisticsMigration,
  membersMigration,
  idempotencyKeysMigration,
  requestPoliciesMigration,
  attachmentsMigration,
  eventsMigration,
  webhooksMigration,
  erasureMigration,
  mailOutboxMigration,
  attachedByDayMigration,
  erasingActiveComplaintsMigration,
  readersMigration,
  expiredAnswersMigration,
  upkeepByIndexMigration,
  erasingWaitingDeliveriesMigration,
  eventIdsMigration,
  closedCatalogueMigration,
  scheduledErasuresMigration,
];
