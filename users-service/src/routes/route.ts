import type { Database } from '@countersign/database';
import { routesWith } from '@countersign/service-kit';
import type { Code } from '../errors.ts';
import type { UsersSchema } from '../store/schema.ts';

export type RouteParts = Readonly<{ db: Database<UsersSchema> }>;

export const route = routesWith<Code, RouteParts>();
