import type { PeopleDirectory } from '../domain/people.ts';
import type { ComplaintsDatabase } from '../store/scope.ts';

/** What every use case needs. */
export type FlowParts = Readonly<{
  db: ComplaintsDatabase;
  /** Returns a new UUIDv7 for a row or a revision. */
  newId: () => string;
  now: () => Date;
  people: PeopleDirectory;
}>;

/** Throws when the client knows another state of the complaint than this revision (`If-Match`). */
export type AssertCurrent = (revision: string) => void;
