import type { Database } from '@countersign/database';
import { type BehindGateway, createServiceApp } from '@countersign/service-kit';
import type { Express } from 'express';
import { v7 as uuidv7 } from 'uuid';
import { errors } from './errors.ts';
import { usersRoutes } from './routes/routes.ts';
import type { Written } from './store/members.ts';
import type { UsersSchema } from './store/schema.ts';

type AppParts = BehindGateway & Readonly<{ db: Database<UsersSchema>; stamp: () => Written }>;

export function createApp({ db, stamp, ...parts }: AppParts): Express {
  return createServiceApp({ ...parts, errors, routes: usersRoutes({ db, stamp }) });
}

/** Returns a unique revision and the current time for one write. */
export const newStamp = (): Written => ({ revision: uuidv7(), at: new Date() });
