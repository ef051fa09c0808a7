import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { dropDatabases, freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { parseDocument } from 'yaml';

export const repository = resolve(import.meta.dirname, '../..');
const launcher = resolve(repository, 'infra/run/start.ts');

export type Stores = Readonly<{ databaseUrl: string | undefined; redisUrl: string | undefined }>;

/** The stores for end-to-end suites: always embedded ones, and real servers if variables name them. */
export function storesToRunOn(env = process.env): [name: string, stores: Stores][] {
  const found: ReturnType<typeof storesToRunOn> = [
    ['pglite and memory', { databaseUrl: undefined, redisUrl: undefined }],
  ];
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = env;
  if (databaseUrl)
    found.push([`postgres and ${redisUrl ? 'redis' : 'memory'}`, { databaseUrl, redisUrl: redisUrl || undefined }]);
  return found;
}

const portVariables = {
  gateway: 'GATEWAY_PORT',
  admin: 'GATEWAY_ADMIN_PORT',
  internal: 'GATEWAY_INTERNAL_PORT',
  auth: 'AUTH_PORT',
  users: 'USERS_PORT',
  complaints: 'COMPLAINTS_PORT',
  web: 'WEB_PORT',
  echo: 'ECHO_PORT',
};

export type Place = Awaited<ReturnType<typeof makePlace>>;

/** Creates a separate home, ports and databases for an installation. */
export async function makePlace(stores: Stores) {
  const home = mkdtempSync(join(tmpdir(), 'countersign-e2e-'));
  const variables = Object.entries(portVariables);
  const numbers = await freePorts(variables.length);
  const ports = Object.fromEntries(variables.map(([name], at) => [name, numbers[at]])) as Record<
    keyof typeof portVariables,
    number
  >;
  const prefix = `countersign_e2e_${process.pid}_${ports.gateway}`;
  return {
    home,
    ports,
    /** The variables for `npm start`. */
    env: {
      ...Object.fromEntries(variables.map(([, variable], at) => [variable, String(numbers[at])])),
      COUNTERSIGN_HOME: home,
      DATABASE_URL: stores.databaseUrl ?? '',
      REDIS_URL: stores.redisUrl ?? '',
      DATABASE_PREFIX: prefix,
      DRAIN_DELAY_MS: '100',
      // The lowest bcrypt cost, because demo accounts and logins would take a quarter of a second each.
      AUTH_BCRYPT_COST: '4',
    },
    /** Deletes all of them. */
    async remove() {
      if (stores.databaseUrl !== undefined) await dropDatabases(stores.databaseUrl, `${prefix}_`);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Runs `npm start` as a process. Resolves when the banner is printed. */
export async function startEverything(place: Place, env: Record<string, string> = {}): Promise<StartedProcess> {
  const started = launch(place, env);
  await started.waitFor(/Ctrl-C stops everything/);
  return started;
}

export function launch(place: Place, env: Record<string, string> = {}): StartedProcess {
  return startProcess({ args: [launcher], env: { ...place.env, ...env }, cwd: repository });
}

/** Writes a changed copy of the shipped gateway.yaml into the installation. */
export function writeGatewayConfig(place: Place, name: string, change: (config: GatewayYaml) => void): string {
  const config = parseDocument(readFileSync(resolve(repository, 'infra/gateway.yaml'), 'utf8')).toJS() as GatewayYaml;
  change(config);
  const file = join(place.home, name);
  writeFileSync(file, JSON.stringify(config));
  return file;
}

export type GatewayYaml = {
  listen: Record<string, string>;
  publicOrigins: string[];
  services: Record<string, { keys: string }>;
  trustedProxies: string[];
  issuers: { issuer: string; jwks: string; revocations: { url: string; maxStaleness: string } }[];
  upstreams: Record<string, { targets: string[]; timeouts?: { response: string } }>;
  /** An entry with `routes` is a group. */
  routes: (Record<string, unknown> & { routes?: GatewayYaml['routes'] })[];
  tests?: unknown;
  telemetry?: unknown;
};
