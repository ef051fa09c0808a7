import { resolve } from 'node:path';
import { type Environment, port, readConfig, wholeNumber } from '@countersign/process-kit';
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
  ECHO_PORT: port(8085),
};

const path = (standard: string) =>
  z
    .string()
    .default(standard)
    .transform((given) => resolve(repository, given));

const schema = z.object({
  ...ports,
  COUNTERSIGN_HOME: path('.countersign'),
  GATEWAY_CONFIG: path('infra/gateway.yaml'),
  SEED_FILE: path('infra/run/demo-tenants.json'),
  NODE_ENV: z.string().optional(),
  /** `0` starts without the page at `/`, for a machine that others reach. */
  WEB_DEMO: z.enum(['0', '1']).default('1'),
  // Locally anyone can register and then joins the demo tenant.
  AUTH_REGISTRATION: z.string().default('open'),
  AUTH_REGISTRATION_TENANT: z.string().default('acme'),
  AUTH_SCOPES: z.string().default('complaints.read complaints.write notes.read notes.write users.read'),
  /** How long all processes can take to become ready. */
  START_TIMEOUT_MS: wholeNumber(1, 3_600_000, 'a number of milliseconds').default(120_000),
  /** Set by `npm run dev`. */
  DEV: z.literal('1').optional(),
});

export type Settings = ReturnType<typeof readSettings>;

/**
 * Reads the settings of `npm start`. Relative paths in variables start at the repository.
 *
 * @throws ConfigError that names every wrong variable.
 */
export function readSettings(env: Environment) {
  const { COUNTERSIGN_HOME: home, GATEWAY_CONFIG: gatewayConfig, SEED_FILE, ...values } = readConfig(schema, env);
  const { NODE_ENV, DEV, WEB_DEMO, AUTH_REGISTRATION, AUTH_REGISTRATION_TENANT, ...others } = values;
  const { AUTH_SCOPES: scopes, START_TIMEOUT_MS: startTimeoutMs, ...numbers } = others;
  const isProduction = NODE_ENV === 'production';
  return {
    repository,
    ports: numbers,
    home,
    gatewayConfig,
    /** Undefined in production, where nothing is seeded. */
    seedFile: isProduction ? undefined : SEED_FILE,
    /** Whether `/` is the page of the demonstration. Never in production. */
    isDemo: !isProduction && WEB_DEMO === '1',
    /** The auth-service's registration variables. In production its own defaults apply. */
    registration: isProduction ? {} : { AUTH_REGISTRATION, AUTH_REGISTRATION_TENANT },
    /** The scopes that OAuth clients can have. */
    scopes,
    startTimeoutMs,
    /** Whether each process restarts when its source changes, and opens an inspector for a debugger. */
    isDevelopment: DEV === '1',
  };
}
