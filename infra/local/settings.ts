import { resolve } from 'node:path';
import { type Environment, port, readConfig, wholeNumber } from '@countersign/service-kit';
import { z } from 'zod';

const repository = resolve(import.meta.dirname, '../..');

const ports = {
  GATEWAY_PORT: port(8080),
  GATEWAY_ADMIN_PORT: port(9090),
  GATEWAY_INTERNAL_PORT: port(8090),
  AUTH_PORT: port(8081),
  USERS_PORT: port(8082),
  COMPLAINTS_PORT: port(8083),
  WEB_PORT: port(8084),
};

const schema = z.object({
  ...ports,
  COUNTERSIGN_HOME: z.string().default('.countersign'),
  GATEWAY_CONFIG: z.string().default('infra/gateway.yaml'),
  SEED_FILE: z.string().default('infra/local/demo-tenants.json'),
  NODE_ENV: z.string().optional(),
  // Locally anyone can register and then joins the demo tenant.
  AUTH_REGISTRATION: z.string().default('open'),
  AUTH_REGISTRATION_TENANT: z.string().default('acme'),
  AUTH_SCOPES: z.string().default('complaints.read complaints.write notes.read notes.write users.read'),
  /** How long all processes can take to become ready. */
  START_TIMEOUT_MS: wholeNumber(1, 3_600_000, 'a number of milliseconds').default(120_000),
  /** Set by `npm run dev`. */
  DEV: z.literal('1').optional(),
});

export type Ports = Readonly<Record<keyof typeof ports, number>>;

/** The settings of `npm start`. Relative paths in variables start at the repository. These paths are absolute. */
export type Settings = Readonly<{
  repository: string;
  ports: Ports;
  home: string;
  gatewayConfig: string;
  /** Undefined in production, where nothing is seeded. */
  seedFile: string | undefined;
  /** The auth-service's registration variables. In production its own defaults apply. */
  registration: Readonly<Record<string, string>>;
  /** The scopes that OAuth clients can have. */
  scopes: string;
  startTimeoutMs: number;
  /** Whether each process restarts when its source changes, and opens an inspector for a debugger. */
  isDevelopment: boolean;
}>;

/** @throws ConfigError that names every wrong variable. */
export function readSettings(env: Environment): Settings {
  const { COUNTERSIGN_HOME, GATEWAY_CONFIG, SEED_FILE, AUTH_SCOPES, START_TIMEOUT_MS, ...rest } = readConfig(
    schema,
    env,
  );
  const { NODE_ENV, DEV, AUTH_REGISTRATION, AUTH_REGISTRATION_TENANT, ...numbers } = rest;
  const isProduction = NODE_ENV === 'production';
  return {
    repository,
    ports: numbers,
    home: resolve(repository, COUNTERSIGN_HOME),
    gatewayConfig: resolve(repository, GATEWAY_CONFIG),
    seedFile: isProduction ? undefined : resolve(repository, SEED_FILE),
    registration: isProduction ? {} : { AUTH_REGISTRATION, AUTH_REGISTRATION_TENANT },
    scopes: AUTH_SCOPES,
    startTimeoutMs: START_TIMEOUT_MS,
    isDevelopment: DEV === '1',
  };
}
