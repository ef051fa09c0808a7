import { afterAll, expect } from '@jest/globals';
import {
  type AuthProvider,
  Client,
  ClientCredentialsProvider,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import type { AgentsStack, OAuthClient } from '../../stacks/agents-stack.ts';
import { call } from '../../stacks/client.ts';

/** `requests` lists all requests by the SDK's client, including discovery, as `GET /mcp 200`. */
export type Connection = Readonly<{ client: Client; transport: StreamableHTTPClientTransport; requests: string[] }>;

export async function use({ client }: Connection, name: string, args: Record<string, unknown> = {}) {
  const { content } = await client.callTool({ name, arguments: args });
  const [part] = content;
  return JSON.parse(part?.type === 'text' ? part.text : '');
}

/** MCP clients for the stack's server, which are closed at the end of the suite. */
export function mcpClients(stackOf: () => AgentsStack) {
  const open: Client[] = [];
  afterAll(() => Promise.all(open.map((client) => client.close())));

  async function connect(
    authProvider: AuthProvider | OAuthClientProvider,
    { mode = 'legacy' }: { mode?: 'legacy' | 'auto' } = {},
  ): Promise<Connection> {
    const requests: string[] = [];
    const transport = new StreamableHTTPClientTransport(stackOf().mcp, {
      authProvider,
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        requests.push(`${init?.method ?? 'GET'} ${new URL(url).pathname} ${response.status}`);
        return response;
      },
    });
    const client = new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode } });
    open.push(client);
    await client.connect(transport);
    return { client, transport, requests };
  }

  return {
    connect,

    credentials: ({ id, secret }: OAuthClient) =>
      new ClientCredentialsProvider({ clientId: id, clientSecret: secret, expectedIssuer: stackOf().gateway }),

    async tokenOf({ id, secret }: OAuthClient, scope: string): Promise<string> {
      const response = await fetch(`${stackOf().gateway}/v1/auth/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret, scope }),
      });
      expect(response.status).toBe(200);
      return ((await response.json()) as { access_token: string }).access_token;
    },

    /** Sends an MCP request without the SDK. */
    post: (token: string, headers: Record<string, string> = {}) =>
      call(stackOf().mcp.href, {
        token,
        headers: { accept: 'application/json, text/event-stream', ...headers },
        body: { jsonrpc: '2.0', id: 1, method: 'tools/list' },
      }),
  };
}
