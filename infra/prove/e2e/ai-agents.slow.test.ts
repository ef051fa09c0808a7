import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DpopSession, type OAuthClientProvider, PrivateKeyJwtProvider } from '@modelcontextprotocol/client';
import { parse } from 'yaml';
import { OnBehalfOf } from '../../../examples/mcp/on-behalf-of.ts';
import { type AgentsStack, type OAuthClient, startAgentsStack } from '../../stacks/agents-stack.ts';
import { call, logIn } from '../../stacks/client.ts';
import { repository } from '../../stacks/stack.ts';
import { mcpClients, use } from './mcp-client.ts';

const read = (file: string) => readFileSync(resolve(repository, file), 'utf8');
const page = read('docs/ai-agents.md');
const notes = ['notes.read', 'notes.write'];

describe('AI agents through the gateway', () => {
  let stack: AgentsStack;
  let oauthClient: OAuthClient;

  beforeAll(async () => {
    stack = await startAgentsStack();
    oauthClient = await stack.createClient('acme', { scopes: notes });
  });
  afterAll(() => stack?.stop());

  describe('docs/ai-agents.md', () => {
    const parts = [...page.matchAll(/^<!-- (\S+) -->\n```\w+\n([\s\S]*?)^```$/gm)];

    test.each(parts.map(([, file = '', part = '']) => [file, part] as const))('shows a part of %s', (file, part) => {
      expect(read(file)).toContain(part);
    });
  });

  const { credentials, connect, tokenOf, post } = mcpClients(() => stack);

  describe('an OAuth client', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'key-1' };

    test.each<[string, () => Promise<OAuthClientProvider>]>([
      ['client_secret_basic', async () => credentials(oauthClient)],
      [
        'private_key_jwt',
        async () => {
          const { id } = await stack.createClient('acme', { scopes: notes, jwks: { keys: [jwk] } });
          const key = { ...privateKey.export({ format: 'jwk' }), kid: 'key-1' };
          return new PrivateKeyJwtProvider({
            clientId: id,
            privateKey: key,
            algorithm: 'ES256',
            expectedIssuer: stack.gateway,
          });
        },
      ],
    ])('finds the token endpoint from a 401, and authenticates there with %s', async (_name, provider) => {
      const connection = await connect(await provider());
      expect(connection.requests.slice(0, 5)).toEqual([
        'POST /mcp 401',
        'GET /.well-known/oauth-protected-resource/mcp 200',
        'GET /.well-known/oauth-authorization-server 200',
        'POST /v1/auth/token 200',
        'POST /mcp 200',
      ]);
      const { tools } = await connection.client.listTools();
      expect(tools.map(({ name }) => name)).toEqual(['list_notes', 'read_note', 'add_note']);
    });

    test.each(['legacy', 'auto'] as const)(
      'uses the tools with the protocol versions that the mode %s chooses',
      async (mode) => {
        const connection = await connect(credentials(oauthClient), { mode });
        expect(connection.client.getProtocolEra()).toBe(mode === 'auto' ? 'modern' : 'legacy');
        expect(connection.transport.sessionId === undefined).toBe(mode === 'auto');
        const text = `written in the era of ${mode}`;
        const note = await use(connection, 'add_note', { text });
        expect(note).toEqual({ id: expect.any(String), text, by: `client ${oauthClient.id}` });
        expect(await use(connection, 'read_note', { id: note.id })).toEqual(note);
        expect(await use(connection, 'list_notes')).toContainEqual(note);
      },
    );

    test('has its requests signed with a key that the gateway and the MCP server agreed on', async () => {
      const connection = await connect(credentials(oauthClient));
      await eventually(async () => {
        await use(connection, 'list_notes');
        const metrics = await (await fetch(`http://127.0.0.1:${stack.place.ports.admin}/metrics`)).text();
        expect(metrics).toMatch(/signatures_total\{upstream="mcp-server",algorithm="agreed"\} [1-9]/);
      });
    });

    test('sees no notes of another tenant', async () => {
      await use(await connect(credentials(oauthClient)), 'add_note', { text: 'for acme alone' });
      const foreign = await stack.createClient('globex', { scopes: notes });
      expect(await use(await connect(credentials(foreign)), 'list_notes')).toEqual([]);
    });

    test('gets a DPoP-bound token if its provider has a key', async () => {
      const session = await DpopSession.create();
      const provider = Object.assign(credentials(oauthClient), { dpop: () => session });
      expect(await use(await connect(provider), 'list_notes')).toEqual(expect.any(Array));
      const { token_type, access_token: token = '' } = provider.tokens() ?? {};
      expect(token_type).toBe('DPoP');
      expect((await post(token)).status).toBe(401);
    });

    test('an OAuth client without the route’s scope is refused, and gets the scope’s name', async () => {
      const other = await stack.createClient('acme', { scopes: ['users.read'] });
      const token = await tokenOf(other, 'users.read');
      const refused = await post(token);
      expect([refused.status, refused.body.code]).toEqual([403, 'insufficient_scope']);
      const metadata = `${stack.gateway}/.well-known/oauth-protected-resource/mcp`;
      expect(refused.headers.get('www-authenticate')).toBe(
        `Bearer error="insufficient_scope", scope="notes.read", resource_metadata="${metadata}"`,
      );
      await expect(connect({ token: async () => token })).rejects.toMatchObject({
        name: 'InsufficientScopeError',
        requiredScope: 'notes.read',
      });
      await expect(connect(credentials(other))).rejects.toMatchObject({ code: 'invalid_scope' });
    });

    test('requests a tool’s scope when it calls the tool, and is refused if the scope is not allowed', async () => {
      const connection = await connect(credentials(oauthClient));
      expect(connection.requests).not.toContain('POST /mcp 403');
      await use(connection, 'add_note', { text: 'after a second token' });
      expect(connection.requests).toContain('POST /mcp 403');
      const reader = await stack.createClient('acme', { scopes: ['notes.read'] });
      const refused = use(await connect(credentials(reader)), 'add_note', { text: 'never written' });
      await expect(refused).rejects.toMatchObject({ code: 'invalid_scope' });
      expect(JSON.stringify(await use(connection, 'list_notes'))).not.toContain('never written');
    });
  });

  describe('an MCP session', () => {
    test('passes through the gateway with its id, its streams and its end', async () => {
      const token = await tokenOf(oauthClient, 'notes.read');
      const { transport } = await connect({ token: async () => token });
      const session = { 'mcp-session-id': transport.sessionId ?? '' };
      const answer = await post(token, session);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
      await transport.terminateSession();
      expect((await post(token, session)).status).toBe(404);
    });

    test('a session is unknown to another client, in the same tenant or another one', async () => {
      const { transport } = await connect(credentials(oauthClient));
      const session = { 'mcp-session-id': transport.sessionId ?? '' };
      const same = await stack.createClient('acme', { scopes: notes });
      const foreign = await stack.createClient('globex', { scopes: notes });
      expect((await post(await tokenOf(oauthClient, 'notes.read'), session)).status).toBe(200);
      const unknown = await post(await tokenOf(same, 'notes.read'), { 'mcp-session-id': randomUUID() });
      for (const other of [same, foreign]) {
        const refused = await post(await tokenOf(other, 'notes.read'), session);
        expect([refused.status, refused.text]).toEqual([404, unknown.text]);
      }
    });

    test('gives a request no scope from an earlier request’s token', async () => {
      const { transport } = await connect({ token: () => tokenOf(oauthClient, notes.join(' ')) });
      const added = await call(stack.mcp.href, {
        token: await tokenOf(oauthClient, 'notes.read'),
        headers: { accept: 'application/json, text/event-stream', 'mcp-session-id': transport.sessionId ?? '' },
        body: { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'add_note', arguments: { text: 'x' } } },
      });
      expect([added.status, added.headers.get('www-authenticate')]).toEqual([
        403,
        expect.stringContaining('scope="notes.write"'),
      ]);
    });
  });

  describe('an agent that acts for a user', () => {
    const mayActFor = { scopes: notes, grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'] };
    const ann = { email: 'agent@acme.test', id: '01936f00-0000-7000-8000-000000000012' };
    let agent: OAuthClient;

    beforeAll(async () => {
      agent = await stack.createClient('acme', mayActFor);
      stack.configure(({ routes }) => {
        const mcp = routes.find(({ name }) => name === 'mcp') as { allow: { actors: string[] } };
        mcp.allow.actors = [agent.id];
      });
      const { subjectToken } = await consent();
      await eventually(async () => expect((await post(await delegated(subjectToken))).status).toBe(400), 60_000);
    });

    /** The user's consent, in a separate session. */
    async function consent({ email = ann.email, to = agent, scopes = notes } = {}) {
      const { token: session } = await logIn(stack.gateway, email);
      const given = { client_id: to.id, scopes, expires_in: 3600 };
      const { status, body } = await call(`${stack.gateway}/v1/auth/delegations`, { token: session, body: given });
      expect(status).toBe(201);
      return { session, id: String(body.id), subjectToken: String(body.subject_token) };
    }

    const provider = (subjectToken: string, { id, secret } = agent) =>
      new OnBehalfOf({ clientId: id, clientSecret: secret, expectedIssuer: stack.gateway, subjectToken });

    async function delegated(subjectToken: string, client = agent): Promise<string> {
      const response = await fetch(`${stack.gateway}/v1/auth/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` },
        body: provider(subjectToken, client).prepareTokenRequest(),
      });
      expect(response.status).toBe(200);
      return ((await response.json()) as { access_token: string }).access_token;
    }

    /** An MCP session, with an open stream for messages from the server. */
    async function openStream(token: string) {
      const clientInfo = { name: 'test', version: '1.0.0' };
      const started = await call(stack.mcp.href, {
        token,
        headers: { accept: 'application/json, text/event-stream' },
        body: {
          ...{ jsonrpc: '2.0', id: 0, method: 'initialize' },
          params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
        },
      });
      const session = { 'mcp-session-id': started.headers.get('mcp-session-id') ?? '' };
      const stream = await fetch(stack.mcp, {
        headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...session },
      });
      expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
      const ended = stream.text().then(
        () => performance.now(),
        () => performance.now(),
      );
      return { session, ended };
    }

    test('gets a token with the user’s consent, and the server sees both the user and the agent', async () => {
      const connection = await connect(provider((await consent()).subjectToken));
      const note = await use(connection, 'add_note', { text: 'written for Ann' });
      expect(note).toMatchObject({ by: `user ${ann.id}`, through: agent.id });
      const line = { identity: 'user', user_id: ann.id, actor: agent.id, status: 200 };
      await eventually(() => expect(stack.logOf('/mcp')).toContainEqual(expect.objectContaining(line)));
    });

    test('gets no more than the user allowed', async () => {
      const connection = await connect(provider((await consent({ scopes: ['notes.read'] })).subjectToken));
      expect(await use(connection, 'list_notes')).toEqual(expect.any(Array));
      await expect(use(connection, 'add_note', { text: 'x' })).rejects.toMatchObject({ code: 'invalid_scope' });
    });

    test('an agent is refused by a route that does not name it, and cannot pass on the consent', async () => {
      const other = await stack.createClient('acme', mayActFor);
      const token = await delegated((await consent({ to: other })).subjectToken, other);
      const refused = await post(token);
      expect([refused.status, refused.body.code]).toEqual([403, 'actor_not_allowed']);
      const body = { client_id: agent.id, scopes: notes, expires_in: 3600 };
      const onward = await call(`${stack.gateway}/v1/auth/delegations`, { token, body });
      expect([onward.status, onward.body.code]).toEqual([403, 'actor_not_allowed']);
      const line = { code: 'actor_not_allowed', user_id: ann.id, actor: other.id };
      const log = () => stack.logOf('/v1/auth/delegations');
      await eventually(() => expect(log()).toContainEqual(expect.objectContaining(line)));
    });

    test('neither the agent nor the user can use a session that it opened for another user', async () => {
      const token = await delegated((await consent()).subjectToken);
      const { session } = await openStream(token);
      expect((await post(token, session)).status).toBe(200);
      const forAnother = await delegated((await consent({ email: 'complainant@acme.test' })).subjectToken);
      expect((await post(forAnother, session)).status).toBe(404);
      const itself = await stack.createClient('acme', { scopes: notes });
      expect((await post(await tokenOf(itself, 'notes.read'), session)).status).toBe(404);
    });

    test.each<[string, (given: Readonly<{ session: string; id: string }>) => ReturnType<typeof call>]>([
      [
        'logs out',
        ({ session }) => call(`${stack.gateway}/v1/auth/logout`, { token: session, method: 'POST', body: {} }),
      ],
      [
        'withdraws the consent',
        ({ session, id }) => call(`${stack.gateway}/v1/auth/delegations/${id}`, { token: session, method: 'DELETE' }),
      ],
    ])('ends within a second when the user %s, together with its open streams', async (_name, end) => {
      const given = await consent();
      const token = await delegated(given.subjectToken);
      const { session, ended } = await openStream(token);
      expect((await post(token, session)).status).toBe(200);
      expect((await end(given)).status).toBe(204);
      const endedAt = performance.now();
      await eventually(async () => expect((await post(token, session)).body.code).toBe('token_revoked'));
      expect(performance.now() - endedAt).toBeLessThan(1_000);
      expect((await ended) - endedAt).toBeLessThan(1_000);
      await expect(connect(provider(given.subjectToken))).rejects.toMatchObject({ code: 'invalid_request' });
    });
  });

  test('agents in a browser work with the `cors` settings on the page', async () => {
    const [, shown = ''] = /^```yaml\n(cors:\n[\s\S]*?)^```$/m.exec(page) ?? [];
    const { cors } = parse(shown) as { cors: { origins: string[]; headers: string[] } };
    stack.configure((config) => Object.assign(config, { cors }));
    const [origin = ''] = cors.origins;
    const preflight = (path: string, method: string, headers: string[]) =>
      call(stack.gateway + path, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': method,
          'access-control-request-headers': headers.map((name) => name.toLowerCase()).join(','),
        },
      });
    await eventually(async () => {
      const { status } = await preflight('/mcp', 'POST', ['Authorization', 'Content-Type', ...cors.headers]);
      expect(status).toBe(204);
    }, 60_000);
    for (const path of ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-authorization-server'])
      expect((await preflight(path, 'GET', ['MCP-Protocol-Version'])).status).toBe(204);
    expect((await preflight('/v1/auth/token', 'POST', ['Authorization', 'DPoP'])).status).toBe(204);
    const { headers } = await call(stack.mcp.href, { method: 'POST', headers: { origin } });
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    expect(headers.get('access-control-expose-headers')).toMatch(/www-authenticate.*mcp-session-id/i);
  });
});
