import type { Database } from '@countersign/database';
import type { Written } from '../store/members.ts';
import type { UsersSchema } from '../store/schema.ts';

/** What the endpoints are made of. */
export type RouteParts = Readonly<{
  db: Database<UsersSchema>;
  /** A fresh revision and the time, for one write. */
  stamp: () => Written;
}>;
