import type { Database } from '@countersign/database';
import { routesWith } from '@countersign/service-kit';
import type { Code } from '../errors.ts';
import type { Written } from '../store/members.ts';
import type { UsersSchema } from '../store/schema.ts';

export type RouteParts = Readonly<{
  db: Database<UsersSchema>;
  /** Returns a unique revision and the current time for one write. */
  stamp: () => Written;
}>;

export const route = routesWith<Code, RouteParts>();
