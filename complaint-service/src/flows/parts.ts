import type { UnsubscribeTokens } from '../domain/mail/unsubscribe.ts';
import type { PeopleDirectory } from '../domain/people.ts';
import type { AllowedReceivers } from '../domain/webhooks/addresses.ts';
import type { WebhookKeys } from '../domain/webhooks/signature.ts';
import type { AttachmentStore } from '../files/attachment-store.ts';
import type { ComplaintsDatabase } from '../store/schema.ts';
import type { EventFeed, OpenStreams } from './events/event-feed.ts';

/** The dependencies of all use cases, which throw the errors that their routes list. */
export type FlowParts = Readonly<{
  db: ComplaintsDatabase;
  /** Returns a new UUIDv7 for a row or a revision. */
  newId: () => string;
  now: () => Date;
  people: PeopleDirectory;
  files: AttachmentStore;
  /** Attachment limits in bytes: per tenant, and per user within 24 hours. */
  attachmentSpace: Readonly<{ ofTenant: number; ofUserPerDay: number }>;
  /** How long an admin can cancel a person's erasure. */
  erasureGraceMs: number;
  feed: EventFeed;
  streams: OpenStreams;
  unsubscribeTokens: UnsubscribeTokens;
  /** The keys that sign deliveries, and where deliveries can go. */
  webhooks: Readonly<{ keys: WebhookKeys; receivers: AllowedReceivers }>;
}>;

/** Throws if `If-Match` names a different revision of the complaint. */
export type AssertCurrent = (revision: string) => void;
