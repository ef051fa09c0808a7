import { databaseProblems } from '@countersign/database';
import { mailConfig, mailProblems } from '@countersign/mail';
import { ConfigError, type Environment, port, readConfig, wholeNumber } from '@countersign/process-kit';
import { assertPrivateKeyFile, callerConfig, commonConfig } from '@countersign/service-kit';
import { z } from 'zod';

const schema = z.object({
  ...commonConfig,
  ...callerConfig,
  ...mailConfig,
  COMPLAINTS_PORT: port(8083),
  COMPLAINTS_DATABASE_URL: z.url().optional(),
  COMPLAINTS_WEBHOOK_KEY: z
    .string()
    .refine((text) => Buffer.byteLength(text) >= 32, 'must have at least 32 bytes')
    .optional(),
  /** `loopback` is for development: webhooks can then use plain http and addresses on this machine. */
  COMPLAINTS_WEBHOOK_REACH: z.enum(['public', 'loopback']).default('public'),
  /** Base URL of complaint pages, to which the id is appended. If unset, emails have no link. */
  COMPLAINTS_LINK_BASE_URL: z.url({ protocol: /^https?$/ }).optional(),
  SEED_FILE: z.string().optional(),
  /** Attachment storage per tenant, in MiB. */
  COMPLAINTS_ATTACHMENT_SPACE_MB: wholeNumber(1, 100_000_000).default(5_000),
  /** How much a user can attach within 24 hours, in MiB. */
  COMPLAINTS_ATTACHED_PER_DAY_MB: wholeNumber(1, 100_000_000).default(250),
  /** How long an erasure can be canceled after the request, in minutes. At most 30 days. */
  COMPLAINTS_ERASURE_GRACE_MINUTES: wholeNumber(1, 30 * 24 * 60).default(3 * 24 * 60),
});

export const complaintsVariables: readonly string[] = Object.keys(schema.shape);

export type ComplaintsConfig = z.infer<typeof schema>;

/** @throws ConfigError that lists every problem. */
export function readComplaintsConfig(env: Environment): ComplaintsConfig {
  const config = readConfig(schema, env);
  assertPrivateKeyFile(env);
  const problems = [...mailProblems(config), ...databaseProblems('COMPLAINTS_DATABASE_URL', config)];
  if (config.NODE_ENV === 'production') {
    if (config.COMPLAINTS_WEBHOOK_REACH !== 'public') {
      problems.push('COMPLAINTS_WEBHOOK_REACH: must be public in production');
    }
    if (config.COMPLAINTS_WEBHOOK_KEY === undefined) {
      problems.push(
        'COMPLAINTS_WEBHOOK_KEY: is required in production. If webhooks exist, use the content of complaint-webhook.key in COUNTERSIGN_HOME',
      );
    }
    // Demo accounts have a published password, so production must not start with them.
    if (config.SEED_FILE !== undefined) {
      problems.push('SEED_FILE: demo tenants are never seeded where NODE_ENV is production; unset it');
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}
