import { ConfigError, commonConfig, type Environment, port, readConfig } from '@countersign/service-kit';
import { z } from 'zod';

const schema = z.object({
  ...commonConfig,
  USERS_PORT: port(8082),
  USERS_DATABASE_URL: z.url().optional(),
  SEED_FILE: z.string().optional(),
});

export type UsersConfig = z.infer<typeof schema>;

/** @throws ConfigError that lists every problem. */
export function readUsersConfig(env: Environment): UsersConfig {
  const config = readConfig(schema, env);
  // Demo accounts have a published password, so production must not start with them.
  if (config.NODE_ENV === 'production' && config.SEED_FILE !== undefined) {
    throw new ConfigError(['SEED_FILE: demo tenants are never seeded where NODE_ENV is production; unset it']);
  }
  return config;
}
