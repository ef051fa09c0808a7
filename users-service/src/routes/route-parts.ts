import type { Database } from '@countersign/database';
import type { Written } from '../store/members.ts';
import type { UsersSchema } from '../store/schema.ts';

/** The dependencies of the routes. */
export type RouteParts = Readonly<{
  db: Database<UsersSchema>;
  /** Returns a unique revision and the current time for one write. */
  stamp: () => Written;
}>;
