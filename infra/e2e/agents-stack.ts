import { copyFileSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually, freePorts } from '@countersign/testing';
import { expect } from '@jest/globals';
import { type ChildSpec, isCompletelyReady, startChild } from '../local/child.ts';
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
  /** Creates an OAuth client as an administrator of the tenant. */
  createClient(tenant: TenantName, wanted: object): Promise<OAuthClient>;
  /** Rewrites the running gateway's configuration. */
  configure(change: (config: GatewayYaml) => void): void;
  /** Returns the gateway's log lines for requests with this path. */
  logOf(path: string): Record<string, unknown>[];
  stop(): Promise<void>;
}>;

/** Starts the gateway, the auth-service and examples/mcp, each as a process, following docs/ai-agents.md. */
export async function startAgentsStack(): Promise<AgentsStack> {
  const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
  const [mcpPort = 0] = await freePorts(1);
  const gateway = `http://127.0.0.1:${place.ports.gateway}`;
  const configFile = join(place.home, 'gateway.yaml');
  copyFileSync(resolve(repository, 'infra/gateway.yaml'), configFile);
  const settings = readSettings({ ...place.env, GATEWAY_CONFIG: configFile });
  const mcpServer: ChildSpec = {
    name: 'mcp-server',
    args: ['examples/mcp/server.ts'],
    env: {
      PORT: String(mcpPort),
      GATEWAY_KEYS_URL: `http://127.0.0.1:${place.ports.internal}/.well-known/jwks.json`,
    },
    readyUrl: `http://127.0.0.1:${mcpPort}/mcp`,
    logFile: join(place.home, 'logs', 'mcp-server.log'),
  };
  const stack = (await describeStack(settings)).filter(({ name }) => name === 'gateway' || name === 'auth-service');
  const specs = [...stack, mcpServer];
  // A low bcrypt cost, because the tests do not measure hashing.
  const env = { ...place.env, MCP_PORT: String(mcpPort), LOG_LEVEL: 'info' };
  const children = specs.map((spec) => startChild({ ...spec, env: { ...env, ...spec.env } }, repository));
  const stop = async () => {
    for (const child of children) child.stop();
    await Promise.all(children.map(({ ended }) => ended));
    await place.remove();
  };
  try {
    for (const { readyUrl } of stack) {
      await eventually(async () => expect(await isCompletelyReady(readyUrl)).toBe(true), 180_000);
    }
    // The MCP server refuses an unsigned request with 401, and with 503 before it has the gateway's keys.
    await eventually(async () => expect((await fetch(mcpServer.readyUrl)).status).toBe(401), 180_000);
  } catch (error) {
    const outputs = children.map(({ name, lastLines }) => `${name}\n${lastLines()}`);
    await stop();
    throw new Error(outputs.join('\n'), { cause: error });
  }

  return {
    place,
    gateway,
    mcp: new URL(`${gateway}/mcp`),
    async createClient(tenant, wanted) {
      const { token } = await logIn(gateway, `admin@${tenant}.test`);
      const body = { name: 'An agent', ...wanted };
      const created = await call(`${gateway}/v1/auth/tenants/${tenants[tenant]}/clients`, { token, body });
      expect([created.status, created.text]).toEqual([201, expect.anything()]);
      return { id: String(created.body.client_id), secret: String(created.body.client_secret) };
    },
    configure: (change) => void writeGatewayConfig(place, 'gateway.yaml', change),
    logOf: (path) =>
      readFileSync(join(place.home, 'logs', 'gateway.log'), 'utf8')
        .split('\n')
        .filter((line) => line.includes(`"path":"${path}"`))
        .map((line) => JSON.parse(line)),
    stop,
  };
}
