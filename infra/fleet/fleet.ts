import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { dropDatabases, eventually, freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { isCompletelyReady } from '../local/child.ts';
import { ensureAuthSecrets, ensureGatewayKey, ensureServiceKey } from '../local/secrets.ts';

const repository = resolve(import.meta.dirname, '../..');

export type FleetOptions = Readonly<{
  authServices: number;
  gateways: number;
  /** The server that all auth-services share. The fleet creates its own database there. */
  databaseUrl: string;
  redisUrl: string;
  /** The upstream for the routes under `/recorded`. */
  recorderUrl: string;
}>;

/** A process that can be restarted after a kill. */
export type Member = Readonly<{
  url: string;
  env: Readonly<Record<string, string>>;
  /** The running process's id. 0 between a stop and a start. */
  pid(): number;
  start(): void;
  ready(): Promise<void>;
  /** Sends a signal, by default SIGTERM. Resolves when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<unknown>;
  output(): string;
}>;

export type Fleet = Readonly<{
  authServices: readonly Member[];
  gateways: readonly Member[];
  /** The gateway.yaml for all gateways, which uses each gateway's variables. */
  configFile: string;
  /** Stops the processes and drops the database. */
  remove(): Promise<void>;
}>;

/**
 * Starts several auth-services and gateways, each as a process, with one Postgres and one Redis, like a cluster.
 * Resolves when all are ready.
 */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-fleet-'));
  const ports = await freePorts(options.authServices + 3 * options.gateways);
  const take = () => ports.shift() ?? 0;
  const prefix = `countersign_fleet_${process.pid}_${ports[0]}`;
  ensureGatewayKey(home);
  const { privateFile } = ensureServiceKey(home, 'auth-service');
  const secrets = { ...ensureAuthSecrets(home), SERVICE_KEY_FILE: privateFile };
  const authPorts = Array.from({ length: options.authServices }, take);
  const gatewayPorts = Array.from({ length: options.gateways }, () => ({
    GATEWAY_PORT: String(take()),
    GATEWAY_ADMIN_PORT: String(take()),
    GATEWAY_INTERNAL_PORT: String(take()),
  }));
  const config = join(home, 'gateway.yaml');
  writeFileSync(config, gatewayYaml(home, authPorts, options));
  const common = { LOG_LEVEL: 'warn', DRAIN_DELAY_MS: '100', COUNTERSIGN_HOME: home };

  const authServices = authPorts.map((port, index) =>
    member(`http://127.0.0.1:${port}`, `http://127.0.0.1:${port}/readyz`, ['auth-service/src/main.ts'], {
      ...common,
      ...secrets,
      AUTH_PORT: String(port),
      AUTH_ISSUER: issuer,
      // A low bcrypt cost, because the tests do not measure hashing.
      AUTH_BCRYPT_COST: '4',
      DATABASE_URL: options.databaseUrl,
      DATABASE_PREFIX: prefix,
      REDIS_URL: options.redisUrl,
      REPLAY_WITHOUT_REDIS: 'memory',
      GATEWAY_KEYS_URL: `http://127.0.0.1:${gatewayPorts[0]?.GATEWAY_INTERNAL_PORT}/.well-known/jwks.json`,
      SEED_FILE: index === 0 ? resolve(repository, 'infra/local/demo-tenants.json') : '',
    }),
  );
  const gateways = gatewayPorts.map((own) =>
    member(
      `http://127.0.0.1:${own.GATEWAY_PORT}`,
      `http://127.0.0.1:${own.GATEWAY_ADMIN_PORT}/readyz`,
      ['gateway/src/main.ts', 'serve', '--config', config],
      { ...common, ...own },
    ),
  );
  const all = [...authServices, ...gateways];
  const fleet: Fleet = {
    authServices,
    gateways,
    configFile: config,
    async remove() {
      await Promise.all(all.map(({ stop }) => stop()));
      await dropDatabases(options.databaseUrl, `${prefix}_`);
      rmSync(home, { recursive: true, force: true });
    },
  };
  for (const { start } of all) start();
  try {
    await Promise.all(all.map(({ ready }) => ready()));
  } catch (error) {
    const outputs = all.map(({ url, output }) => `${url}\n${output()}`);
    await fleet.remove();
    throw new Error(`the fleet did not start:\n${outputs.join('\n')}`, { cause: error });
  }
  return fleet;
}

function member(url: string, readyUrl: string, args: readonly string[], env: Readonly<Record<string, string>>): Member {
  let running: StartedProcess | undefined;
  return {
    url,
    env,
    pid: () => running?.pid ?? 0,
    start() {
      running = startProcess({ args, env, cwd: repository });
    },
    async ready() {
      await eventually(async () => {
        if (!(await isCompletelyReady(readyUrl))) throw new Error(`${readyUrl} is not ready`);
      }, 60_000);
    },
    async stop(signal = 'SIGTERM') {
      const was = running;
      running = undefined;
      await was?.stop(signal);
    },
    output: () => running?.output() ?? '',
  };
}

const issuer = 'http://fleet.test';

function gatewayYaml(home: string, authPorts: readonly number[], { redisUrl, recorderUrl }: FleetOptions): string {
  const auths = authPorts.map((port) => `http://127.0.0.1:${port}`);
  const [first = ''] = auths;
  mkdirSync(join(home, 'gateway-keys'), { recursive: true });
  const at = (variable: string) => `"127.0.0.1:\${${variable}}"`;
  return `version: 1
listen: { public: ${at('GATEWAY_PORT')}, admin: ${at('GATEWAY_ADMIN_PORT')}, internal: ${at('GATEWAY_INTERNAL_PORT')} }
# Lets each login use a separate address, so that the throttle does not affect these tests.
trustedProxies: [127.0.0.1/32]
redis: "${redisUrl}"
issuers:
  - issuer: ${issuer}
    audience: complaints-api
    jwks: ${first}/.well-known/jwks.json
    algorithms: [ES256]
    revocations: { url: "${first}/internal/revocations", maxStaleness: 30s, onStale: allow }
identity: { keys: "${join(home, 'gateway-keys')}" }
upstreams:
  auth-service: { targets: ${JSON.stringify(auths)} }
  recorder: { targets: ["${recorderUrl}"] }
routes:
  - { name: login, path: /v1/auth/login, methods: [POST], upstream: auth-service, auth: public }
  - { name: logout, path: /v1/auth/logout, methods: [POST], upstream: auth-service, auth: optional }
  - { name: recorded, path: "/recorded/**", methods: [GET, POST], upstream: recorder, auth: required }
  - { name: recorded-socket, path: /recorded/socket, methods: [GET], upstream: recorder, auth: required, websocket: true }
`;
}
