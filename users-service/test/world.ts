import { people, type TestDatabase, tenants } from '@countersign/testing';
import { serviceWorld } from '@countersign/testing/service';
import { api, createApp } from '../src/routes/api.ts';
import { type Seed, seedMembers } from '../src/service.ts';
import { type UsersSchema, usersDatabase } from '../src/store/schema.ts';

export const audience = 'users-service';

export const seed: Seed = {
  tenants: Object.entries(tenants).map(([tenant, id]) => ({
    id,
    members: Object.entries(people)
      .filter(([, { tenantId }]) => tenantId === id)
      .map(([name, { userId, role }]) => ({
        user_id: userId,
        role,
        email: `${name}@${tenant}.test`,
        display_name: `${name[0]?.toUpperCase()}${name.slice(1)} Smith`,
      })),
  })),
};

/** Starts the service on a database with all test people. */
export async function usersWorld(where: TestDatabase) {
  const database = await where.open<UsersSchema>(usersDatabase);
  await seedMembers(database.db, seed);
  return serviceWorld({ audience, api, database, createApp });
}
