import type { Database } from '@countersign/database';
import type { AssigneeDirectory } from '../domain/assignees.ts';
import type { ComplaintsSchema } from '../store/schema.ts';

/** What the endpoints are made of. */
export type RouteParts = Readonly<{
  db: Database<ComplaintsSchema>;
  /** A new UUIDv7, for rows and revisions. */
  newId: () => string;
  now: () => Date;
  assignees: AssigneeDirectory;
}>;
