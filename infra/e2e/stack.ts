import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { dropDatabases, freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { parseDocument } from 'yaml';

export const repository = resolve(import.meta.dirname, '../..');
const launcher = resolve(repository, 'infra/local/start.ts');

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

/** A separate home, ports and databases for an installation. `remove` deletes all of them. */
export type Place = Readonly<{
  home: string;
  ports: Readonly<Record<'gateway' | 'admin' | 'internal' | 'auth' | 'users' | 'complaints' | 'web', number>>;
  env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}>;

export async function makePlace(stores: Stores): Promise<Place> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-e2e-'));
  const [gateway = 0, admin = 0, internal = 0, auth = 0, users = 0, complaints = 0, web = 0] = await freePorts(7);
  const prefix = `countersign_e2e_${process.pid}_${gateway}`;
  return {
    home,
    ports: { gateway, admin, internal, auth, users, complaints, web },
    env: {
      COUNTERSIGN_HOME: home,
      GATEWAY_PORT: String(gateway),
      GATEWAY_ADMIN_PORT: String(admin),
      GATEWAY_INTERNAL_PORT: String(internal),
      AUTH_PORT: String(auth),
      USERS_PORT: String(users),
      COMPLAINTS_PORT: String(complaints),
      WEB_PORT: String(web),
      DATABASE_URL: stores.databaseUrl ?? '',
      REDIS_URL: stores.redisUrl ?? '',
      DATABASE_PREFIX: prefix,
      DRAIN_DELAY_MS: '100',
      // The lowest bcrypt cost, because demo accounts and logins would take a quarter of a second each.
      AUTH_BCRYPT_COST: '4',
    },
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

/**
 * Writes the shipped gateway.yaml with one more upstream into the installation.
 *
 * @param change Edits the parsed document's plain value.
 */
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
  issuers: { revocations: { maxStaleness: string } }[];
  upstreams: Record<string, { targets: string[]; timeouts?: { response: string } }>;
  /** An entry with `routes` is a group. */
  routes: (Record<string, unknown> & { routes?: GatewayYaml['routes'] })[];
  tests?: unknown;
  telemetry?: unknown;
};
