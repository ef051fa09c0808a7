import {
  assertPrivateKeyFile,
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
  /** Of one tenant, in MiB. */
  COMPLAINTS_ATTACHMENT_SPACE_MB: wholeNumber(1, 100_000_000).default(5_000),
});

export type ComplaintsConfig = z.infer<typeof schema>;

/** @throws ConfigError that lists every problem. */
export function readComplaintsConfig(env: Environment): ComplaintsConfig {
  const config = readConfig(schema, env);
  assertPrivateKeyFile(env);
  return config;
}
