import { readFileSync } from 'node:fs';
import { databaseProblems } from '@countersign/database';
import { mailConfig, mailProblems } from '@countersign/mail';
import { ConfigError, type Environment, originList, port, readConfig, wholeNumber } from '@countersign/process-kit';
import { assertPrivateKeyFile, callerConfig, commonConfig } from '@countersign/service-kit';
import { z } from 'zod';
import { adminRole } from './domain/accounts/account-rules.ts';
import { maxScopes, scopePattern } from './domain/clients/client-rules.ts';
import { parseKeyRing } from './domain/keys/key-ring.ts';
import { signingAlgorithms } from './domain/sessions/access-token.ts';

const keyRing = z.string().transform((text, context) => {
  try {
    return parseKeyRing(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});

/** Space-separated scope-tokens, as in the `scope` parameter. */
const scopeList = z
  .string()
  .transform((text) => [...new Set(text.split(/\s+/).filter((name) => name !== ''))])
  .refine(
    (scopes) => scopes.length <= maxScopes && scopes.every((name) => scopePattern.test(name)),
    `must be at most ${maxScopes} space-separated scopes (RFC 6749 section 3.3)`,
  );

const schema = z.object({
  ...commonConfig,
  ...callerConfig,
  ...mailConfig,
  AUTH_PORT: port(8081),
  GATEWAY_PORT: port(8080),
  AUTH_DATABASE_URL: z.url().optional(),
  AUTH_ISSUER: z.url().optional(),
  AUTH_AUDIENCE: z.string().min(1).default('complaints-api'),
  AUTH_SIGNING_KEK: keyRing,
  AUTH_SIGNING_ALGORITHM: z.enum(signingAlgorithms).default('ES256'),
  AUTH_PASSWORD_PEPPERS: keyRing,
  AUTH_REFRESH_MAC_KEYS: keyRing,
  AUTH_BCRYPT_COST: wholeNumber(4, 15).default(12),
  AUTH_HASH_CONCURRENCY: wholeNumber(1, 16).default(2),
  AUTH_HASH_QUEUE: wholeNumber(0, 10_000).default(32),
  AUTH_BROWSER_ORIGINS: originList.optional(),
  AUTH_SCOPES: scopeList.default([]),
  AUTH_OPERATOR_SOCKET: z.string().optional(),
  SEED_FILE: z.string().optional(),
  SEED_CLIENT_SECRET: z.string().min(32).optional(),
  AUTH_API_DOCUMENT: z.string().optional(),
  AUTH_REGISTRATION: z.enum(['off', 'invite', 'open']).default('invite'),
  AUTH_REGISTRATION_TENANT: z.string().optional(),
  AUTH_REGISTRATION_ROLE: z
    .string()
    .regex(/^[a-z0-9_-]{1,64}$/, 'must be a role name')
    .default('complainant'),
  AUTH_AFTER_LOGIN: z
    .string()
    .regex(/^\/(?:[\w.-]+\/)*[\w.-]*$/, 'must be a path like /app/')
    .default('/app/'),
  AUTH_LINK_BASE_URL: z.url({ protocol: /^https?$/ }).optional(),
});

export const authVariables: readonly string[] = Object.keys(schema.shape);

export type AuthConfig = z.infer<typeof schema>;

/** @throws ConfigError with every problem at once. */
export function readAuthConfig(env: Environment): AuthConfig {
  const config = readConfig(schema, env);
  const problems = [...mailProblems(config), ...databaseProblems('AUTH_DATABASE_URL', config)];
  if (config.AUTH_REGISTRATION_ROLE === adminRole) problems.push('AUTH_REGISTRATION_ROLE: must not be admin');
  if (config.NODE_ENV === 'production') {
    if (config.SEED_FILE !== undefined) problems.push('SEED_FILE: demo accounts are never created in production');
    if (config.AUTH_BCRYPT_COST < 10) problems.push('AUTH_BCRYPT_COST: must be 10 or more in production');
  }
  assertPrivateKeyFile(env);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** The `iss` of access tokens: the public URL of the gateway. */
export const issuerOf = (config: AuthConfig): string => config.AUTH_ISSUER ?? `http://127.0.0.1:${config.GATEWAY_PORT}`;

/** @throws ConfigError when the API document cannot be read, or is not JSON. */
export function apiDocumentOf({ AUTH_API_DOCUMENT: file }: AuthConfig): string | undefined {
  if (file === undefined) return undefined;
  try {
    return JSON.stringify(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new ConfigError([`AUTH_API_DOCUMENT: ${(error as Error).message}`]);
  }
}

/** Origins that may use the session cookie: the configured ones, or by default the gateway's own. */
export function browserOriginsOf(config: AuthConfig): ReadonlySet<string> {
  if (config.AUTH_BROWSER_ORIGINS !== undefined) return new Set(config.AUTH_BROWSER_ORIGINS);
  return new Set([new URL(issuerOf(config)).origin, ...localOrigins(config)]);
}

/** Origins of the account pages, from the issuer and the emailed links. Never taken from a request. */
export const pageOriginsOf = (config: AuthConfig): ReadonlySet<string> =>
  new Set([...[issuerOf(config), linkBaseOf(config)].map((url) => new URL(url).origin), ...localOrigins(config)]);

/** The gateway that `npm start` runs, under both loopback names. */
function localOrigins({ NODE_ENV: environment, GATEWAY_PORT: gatewayPort }: AuthConfig): string[] {
  if (environment === 'production') return [];
  return ['127.0.0.1', 'localhost'].map((host) => `http://${host}:${gatewayPort}`);
}

/** Base URL of emailed links, without a trailing slash. Never taken from a request's Host. */
export const linkBaseOf = (config: AuthConfig): string =>
  (config.AUTH_LINK_BASE_URL ?? issuerOf(config)).replace(/\/+$/, '');

export function registrationOf(config: AuthConfig) {
  const { AUTH_REGISTRATION: mode, AUTH_REGISTRATION_TENANT: tenant, AUTH_REGISTRATION_ROLE: role } = config;
  return { mode, joins: mode === 'open' && tenant !== undefined ? { tenant, role } : undefined };
}
