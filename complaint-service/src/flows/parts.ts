import type { PeopleDirectory } from '../domain/people.ts';
import type { AttachmentStore } from '../files/attachment-store.ts';
import type { ComplaintsDatabase } from '../store/scope.ts';
import type { EventFeed } from './events/event-feed.ts';
import type { OpenStreams } from './events/open-streams.ts';
import type { WebhookSettings } from './webhooks/manage-webhooks.ts';

/** What every use case needs. */
export type FlowParts = Readonly<{
  db: ComplaintsDatabase;
  /** Returns a new UUIDv7 for a row or a revision. */
  newId: () => string;
  now: () => Date;
  people: PeopleDirectory;
  files: AttachmentStore;
  /** How many bytes the attachments of one tenant may take. */
  attachmentSpace: number;
  feed: EventFeed;
  streams: OpenStreams;
  webhooks: WebhookSettings;
}>;

/** Throws when the client knows another state of the complaint than this revision (`If-Match`). */
export type AssertCurrent = (revision: string) => void;
