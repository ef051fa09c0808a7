import { resolve } from 'node:path';
import { eventually, freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { expect } from '@jest/globals';
import { readSettings } from '../local/settings.ts';
import { describeStack } from '../local/stack.ts';
import { call, logIn } from './client.ts';
import { type GatewayYaml, makePlace, type Place, repository, writeGatewayConfig } from './stack.ts';

export const tenants = {
  acme: '01936f00-0000-7000-8000-000000000001',
  globex: '01936f00-0000-7000-8000-000000000002',
} as const;
export type TenantName = keyof typeof tenants;

export type OAuthClient = Readonly<{ id: string; secret: string }>;

export type AgentsStack = Readonly<{
  place: Place;
  gateway: string;
  mcp: URL;
  mcpPort: number;
  configFile: string;
  /** Creates an OAuth client as an administrator of the tenant. */
  createClient(tenant: TenantName, wanted: object): Promise<OAuthClient>;
  /** Rewrites the running gateway's configuration. */
  configure(change: (config: GatewayYaml) => void): void;
  /** The gateway's log lines for requests with this path. */
  logOf(path: string): Record<string, unknown>[];
  stop(): Promise<void>;
}>;

/** Starts the gateway, the auth-service and examples/mcp, each a process, as the page's reader does. */
export async function startAgentsStack(): Promise<AgentsStack> {
  const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
  const [mcpPort = 0] = await freePorts(1);
  const gateway = `http://127.0.0.1:${place.ports.gateway}`;
  const configure = (change: (config: GatewayYaml) => void) => writeGatewayConfig(place, 'gateway.yaml', change);
  const configFile = configure(() => {});
  const settings = readSettings({ ...place.env, GATEWAY_CONFIG: configFile });
  const specs = (await describeStack(settings)).filter(({ name }) => name === 'gateway' || name === 'auth-service');
  const env = { ...place.env, MCP_PORT: String(mcpPort), AUTH_BCRYPT_COST: '4', LOG_LEVEL: 'info' };
  const started = new Map<string, StartedProcess>(
    specs.map((spec) => [spec.name, startProcess({ args: spec.args, env: { ...env, ...spec.env }, cwd: repository })]),
  );
  started.set(
    'mcp-server',
    startProcess({
      args: [resolve(repository, 'examples/mcp/server.ts')],
      env: {
        PORT: String(mcpPort),
        GATEWAY_KEYS_URL: `http://127.0.0.1:${place.ports.internal}/.well-known/jwks.json`,
      },
    }),
  );
  const stop = async () => {
    await Promise.all([...started.values()].map((one) => one.stop()));
    await place.remove();
  };
  try {
    const urls = [...specs.map(({ readyUrl }) => readyUrl), `http://127.0.0.1:${mcpPort}/mcp`];
    // The MCP server refuses an unsigned request with 401, and with 503 before it has the gateway's keys.
    const statuses = async () => Promise.all(urls.map(async (url) => (await fetch(url)).status));
    await eventually(async () => expect(await statuses()).toEqual([200, 200, 401]), 180_000);
  } catch (error) {
    const outputs = [...started].map(([name, { output }]) => `${name}\n${output()}`);
    await stop();
    throw new Error(outputs.join('\n'), { cause: error });
  }

  return {
    place,
    gateway,
    mcp: new URL(`${gateway}/mcp`),
    mcpPort,
    configFile,
    async createClient(tenant, wanted) {
      const { token } = await logIn(gateway, `admin@${tenant}.test`);
      const body = { name: 'An agent', ...wanted };
      const created = await call(`${gateway}/v1/auth/tenants/${tenants[tenant]}/clients`, { token, body });
      expect([created.status, created.text]).toEqual([201, expect.anything()]);
      return { id: String(created.body.client_id), secret: String(created.body.client_secret) };
    },
    configure,
    logOf: (path) =>
      (started.get('gateway')?.output() ?? '')
        .split('\n')
        .filter((line) => line.includes(`"path":"${path}"`))
        .map((line) => JSON.parse(line)),
    stop,
  };
}
