import {
  assertPrivateKeyFile,
  ConfigError,
  callerConfig,
  commonConfig,
  type Environment,
  port,
  readConfig,
  wholeNumber,
} from '@countersign/service-kit';
import { z } from 'zod';

const schema = z.object({
  ...commonConfig,
  ...callerConfig,
  COMPLAINTS_PORT: port(8083),
  COMPLAINTS_DATABASE_URL: z.url().optional(),
  COMPLAINTS_WEBHOOK_KEY: z
    .string()
    .refine((text) => Buffer.byteLength(text) >= 32, 'must have 32 bytes or more')
    .optional(),
  /** For development: webhooks may go to this machine, and over plain http. */
  COMPLAINTS_WEBHOOK_REACH: z.enum(['public', 'loopback']).default('public'),
  SEED_FILE: z.string().optional(),
  /** Of one tenant, in MiB. */
  COMPLAINTS_ATTACHMENT_SPACE_MB: wholeNumber(1, 100_000_000).default(5_000),
});

export type ComplaintsConfig = z.infer<typeof schema>;

/** @throws ConfigError that lists every problem. */
export function readComplaintsConfig(env: Environment): ComplaintsConfig {
  const config = readConfig(schema, env);
  assertPrivateKeyFile(env);
  if (config.NODE_ENV === 'production' && config.COMPLAINTS_WEBHOOK_REACH !== 'public') {
    throw new ConfigError(['COMPLAINTS_WEBHOOK_REACH: must be public in production']);
  }
  // The accounts of demo tenants have a published password, so production must not start with them.
  if (config.NODE_ENV === 'production' && config.SEED_FILE !== undefined) {
    throw new ConfigError(['SEED_FILE: demo tenants are never seeded where NODE_ENV is production; unset it']);
  }
  return config;
}
