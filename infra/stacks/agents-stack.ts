import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, freePorts, startProcess } from '@countersign/testing';
import { expect } from '@jest/globals';
import { call, logIn } from './client.ts';
import { describeParts, type Part, startParts } from './parts.ts';
import { type GatewayYaml, makePlace, repository, writeGatewayConfig } from './stack.ts';

export const tenants = {
  acme: '01936f00-0000-7000-8000-000000000001',
  globex: '01936f00-0000-7000-8000-000000000002',
} as const;

export type OAuthClient = Readonly<{ id: string; secret: string }>;
export type AgentsStack = Awaited<ReturnType<typeof startAgentsStack>>;

/** Starts the gateway, the auth-service and examples/mcp, each as a process, following docs/ai-agents.md. */
export async function startAgentsStack() {
  const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
  const [mcpPort = 0] = await freePorts(1);
  const gateway = `http://127.0.0.1:${place.ports.gateway}`;
  const configFile = join(place.home, 'gateway.yaml');
  // The page edits the text.
  copyFileSync(join(repository, 'infra/gateway.yaml'), configFile);
  const env = { GATEWAY_CONFIG: configFile, MCP_PORT: String(mcpPort), LOG_LEVEL: 'info' };
  const mcpServer = startProcess({
    args: ['examples/mcp/server.ts'],
    cwd: repository,
    env: {
      PORT: String(mcpPort),
      GATEWAY_KEYS_URL: `http://127.0.0.1:${place.ports.internal}/.well-known/jwks.json`,
    },
  });
  let parts: readonly Part[] = [];
  const stop = async () => {
    await Promise.all([...parts, mcpServer].map((one) => one.stop()));
    await place.remove();
  };
  try {
    parts = await startParts(describeParts(place, ['gateway', 'auth-service'], env));
    // The MCP server refuses an unsigned request with 401, and with 503 before it has the gateway's keys.
    await eventually(async () => expect((await fetch(`http://127.0.0.1:${mcpPort}/mcp`)).status).toBe(401), 60_000);
  } catch (cause) {
    await stop();
    throw new Error(mcpServer.output(), { cause });
  }

  return {
    place,
    gateway,
    mcp: new URL(`${gateway}/mcp`),
    /** Creates an OAuth client as an administrator of the tenant. */
    async createClient(tenant: keyof typeof tenants, wanted: object): Promise<OAuthClient> {
      const { token } = await logIn(gateway, `admin@${tenant}.test`);
      const body = { name: 'An agent', ...wanted };
      const created = await call(`${gateway}/v1/auth/tenants/${tenants[tenant]}/clients`, { token, body });
      expect([created.status, created.text]).toEqual([201, expect.anything()]);
      return { id: String(created.body.client_id), secret: String(created.body.client_secret) };
    },
    configure: (change: (config: GatewayYaml) => void) => void writeGatewayConfig(place, 'gateway.yaml', change),
    /** Returns the gateway's log lines for requests with this path. */
    logOf: (path: string): Record<string, unknown>[] =>
      (parts[0]?.log() ?? '')
        .split('\n')
        .filter((line) => line.includes(`"path":"${path}"`))
        .map((line) => JSON.parse(line)),
    stop,
  };
}
