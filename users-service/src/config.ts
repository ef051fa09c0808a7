import { databaseProblems } from '@countersign/database';
import { ConfigError, type Environment, port, readConfig } from '@countersign/process-kit';
import { commonConfig } from '@countersign/service-kit';
import { z } from 'zod';

const schema = z.object({
  ...commonConfig,
  USERS_PORT: port(8082),
  USERS_DATABASE_URL: z.url().optional(),
  SEED_FILE: z.string().optional(),
});

export const usersVariables: readonly string[] = Object.keys(schema.shape);

export type UsersConfig = z.infer<typeof schema>;

/** @throws ConfigError that lists every problem. */
export function readUsersConfig(env: Environment): UsersConfig {
  const config = readConfig(schema, env);
  // Demo accounts have a published password, so production must not start with them.
  const problems = databaseProblems('USERS_DATABASE_URL', config);
  if (config.NODE_ENV === 'production' && config.SEED_FILE !== undefined)
    problems.push('SEED_FILE: demo tenants are never seeded where NODE_ENV is production; unset it');
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}
