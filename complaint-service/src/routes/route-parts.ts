import type { Database } from '@countersign/database';
import type { AssigneeDirectory } from '../domain/assignees.ts';
import type { ComplaintsSchema } from '../store/schema.ts';

/** The dependencies of the routes. */
export type RouteParts = Readonly<{
  db: Database<ComplaintsSchema>;
  /** Returns a new UUIDv7 for a row or a revision. */
  newId: () => string;
  now: () => Date;
  assignees: AssigneeDirectory;
}>;
