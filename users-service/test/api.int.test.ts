import { createHealth, createMetrics } from '@countersign/process-kit';
import { databases, silentLogger } from '@countersign/testing';
import { servedRoutes } from '@countersign/testing/service';
import { expect, test } from '@jest/globals';
import { api, createApp } from '../src/routes/api.ts';
import { type UsersSchema, usersDatabase } from '../src/store/schema.ts';

test('the OpenAPI description lists exactly the served routes', async () => {
  const database = await databases()[0]?.[1].open<UsersSchema>(usersDatabase);
  if (database === undefined) throw new Error('there is no database');
  const app = createApp({
    db: database.db,
    identity: (_req, _res, next) => next(),
    health: createHealth({}),
    metrics: createMetrics(),
    logger: silentLogger(),
  });
  expect(servedRoutes(app)).toEqual(api.endpoints.map(({ method, path }) => `${method} ${path}`).sort());
  await database.close();
});
