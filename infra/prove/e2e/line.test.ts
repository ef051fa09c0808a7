import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import {
  eventually,
  mintIssuer,
  type RecordedRequest,
  type RecordingUpstream,
  rawRequest,
  recordingUpstream,
  type StartedProcess,
  startProcess,
} from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ensureServiceKey } from '../../run/secrets.ts';
import { call, logIn, password } from '../../stacks/client.ts';
import {
  makePlace,
  type Place,
  repository,
  startEverything,
  storesToRunOn,
  writeGatewayConfig,
} from '../../stacks/stack.ts';
import { testAccountPages } from './account-pages.ts';
import { testBoundSessions } from './bound-session.ts';
import { testClientPackage } from './client-package.ts';

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const identityHeaders = [
  'x-request-id',
  'x-identity',
  'x-identity-audience',
  'x-identity-context',
  'x-user-id',
  'x-user-role',
  'x-tenant-id',
  'signature',
  'signature-input',
];
const acmeComplainant = '01936f00-0000-7000-8000-000000000011';
const acme = '01936f00-0000-7000-8000-000000000001';

/** One event and the end of the stream at `/recorded/events`; JSON elsewhere. */
function answer({ target, headers }: RecordedRequest, res: ServerResponse): void {
  if (target !== '/recorded/events') {
    res.setHeader('content-type', 'application/json').end('{"ok":true}');
    return;
  }
  const last = headers['last-event-id'];
  const event = `retry: 1\nid: ${Number(last ?? 0) + 1}\ndata: after ${last ?? 'the start'}\n\n`;
  res.setHeader('content-type', 'text/event-stream').end(event);
}

describe.each(storesToRunOn())('the whole stack on %s', (_name, stores) => {
  let place: Place;
  let recorder: RecordingUpstream;
  let everything: StartedProcess;
  let gateway: string;
  let gatewayConfig: string;

  beforeAll(async () => {
    place = await makePlace(stores);
    recorder = await recordingUpstream({ answer });
    gateway = `http://127.0.0.1:${place.ports.gateway}`;
    gatewayConfig = writeGatewayConfig(place, 'gateway.yaml', (config) => {
      config.upstreams.recorder = { targets: [recorder.url] };
      // So that the service behind the page at `/` gets everything that it must not show.
      Object.assign(config.upstreams.echo ?? {}, { txnToken: true });
      Object.assign(config.services, {
        echo: { keys: ensureServiceKey(place.home, 'echo').privateFile.replace('.jwk.json', '.jwks.json') },
      });
      Object.assign(config.routes.find(({ upstream }) => upstream === 'echo') ?? {}, {
        forward: { authorization: true },
      });
      config.routes.push(
        {
          name: 'recorded',
          path: '/recorded/**',
          methods: ['GET', 'POST', 'DELETE'],
          upstream: 'recorder',
          auth: 'required',
          allow: { roles: ['complainant', 'agent'] },
        },
        { name: 'recorded-public', path: '/recorded-public', methods: ['GET'], upstream: 'recorder', auth: 'public' },
      );
    });
    everything = await startEverything(place, { GATEWAY_CONFIG: gatewayConfig });
  });

  afterAll(async () => {
    await everything?.stop();
    await recorder?.close();
    await place?.remove();
  });

  /** Expects a problem with this status and code, and no request upstream. */
  async function expectRefused(answer: Promise<Awaited<ReturnType<typeof call>>>, status: number, code: string) {
    const before = recorder.requests.length;
    const refused = await answer;
    expect([refused.status, refused.body.code]).toEqual([status, code]);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.body.request_id).toBe(refused.headers.get('x-request-id'));
    expect(recorder.requests.length).toBe(before);
  }

  test('the service behind the page at / shows the headers that it received, and no secret', async () => {
    expect((await call(`${gateway}/`)).text).toContain('<title>Countersign</title>');
    const { token } = await logIn(gateway, 'complainant@acme.test');
    const headers = { cookie: 'theme=dark', 'x-user-id': 'the-boss', 'x-color': 'red' };
    const { status, body } = await call(`${gateway}/demo/echo`, { token, headers });
    const shown = body.headers as Record<string, string>;
    expect([status, shown]).toEqual([
      200,
      expect.objectContaining({ 'x-user-id': acmeComplainant, 'x-user-role': 'complainant', 'x-color': 'red' }),
    ]);
    expect(shown['signature-input']).toContain('"txn-token"');
    for (const name of ['authorization', 'cookie', 'txn-token']) expect(shown).not.toHaveProperty(name);
    const past = await call(`http://127.0.0.1:${place.ports.echo}/demo/echo`, { headers: { ...shown, host: '' } });
    expect([past.status, past.body.code]).toEqual([401, 'identity_refused']);
    expect((await call(`${gateway}/demo/echo`)).body.code).toBe('token_missing');
  });

  test('the upstream receives the gateway’s identity headers once each, and only that upstream can verify them', async () => {
    const { token } = await logIn(gateway, 'complainant@acme.test');
    const answer = await call(`${gateway}/recorded/a%20b?x=1&x=2`, {
      token,
      headers: {
        'X-User-Id': 'admin',
        x_user_id: 'admin',
        'X-Tenant-Id': 'globex',
        'X-Identity': 'service',
        Signature: 'sig=:AAAA:',
        'X-Forwarded-For': '1.2.3.4',
      },
      body: { hello: 'there' },
    });
    expect(answer.status).toBe(200);
    const arrived = recorder.last();
    for (const name of identityHeaders) expect([name, arrived.count(name)]).toEqual([name, 1]);
    expect(arrived.headers).toMatchObject({
      'x-identity': 'user',
      'x-identity-audience': 'recorder',
      'x-user-id': acmeComplainant,
      'x-user-role': 'complainant',
      'x-tenant-id': acme,
    });
    expect(arrived.headers).not.toHaveProperty('authorization');
    expect(arrived.headers).not.toHaveProperty('x_user_id');
    expect(arrived.headers['x-request-id']).toMatch(uuid7);
    expect(arrived.headers['x-request-id']).toBe(answer.headers.get('x-request-id'));
    expect(arrived.target).toBe('/recorded/a%20b?x=1&x=2');
    expect(arrived.body.toString()).toBe('{"hello":"there"}');

    const keys = gatewayKeys({ url: `http://127.0.0.1:${place.ports.internal}/.well-known/jwks.json` });
    keys.start();
    // The nonce memory refuses signatures created before it started, so set its start far in the past.
    const verifierFor = (audience: string) =>
      createVerifier({ audience, keys, replay: memoryReplay({ nowMs: () => Date.now() - 60_000 }) });
    const request = {
      method: arrived.method,
      target: arrived.target,
      rawHeaders: arrived.rawHeaders,
      body: arrived.body,
    };
    await eventually(() => expect(keys.ready).toBe(true));
    await expect(verifierFor('complaint-service').verify(request)).rejects.toMatchObject({
      reason: 'audience_mismatch',
    });
    await expect(verifierFor('recorder').verify({ ...request, target: '/recorded/other' })).rejects.toMatchObject({
      reason: 'signature_invalid',
    });
    await expect(verifierFor('recorder').verify({ ...request, body: Buffer.from('{}') })).rejects.toMatchObject({
      reason: 'content_digest_mismatch',
    });
    keys.stop();
  });

  test('a public route is signed as anonymous, whatever identity the client claims', async () => {
    await call(`${gateway}/recorded-public`, { headers: { 'x-user-id': 'admin', 'x-identity': 'user' } });
    expect(recorder.last().headers).toMatchObject({ 'x-identity': 'anonymous' });
    expect(recorder.last().headers).not.toHaveProperty('x-user-id');
  });

  test('refuses a wrong password and an unknown account with the same response', async () => {
    const wrong = await call(`${gateway}/v1/auth/login`, {
      body: { email: 'agent@acme.test', password: `${password}!` },
    });
    const unknown = await call(`${gateway}/v1/auth/login`, { body: { email: 'unknown@acme.test', password } });
    for (const { status, body } of [wrong, unknown]) expect([status, body.code]).toEqual([401, 'invalid_credentials']);
    expect({ ...wrong.body, request_id: '' }).toEqual({ ...unknown.body, request_id: '' });
  });

  test('refuses a missing token, a changed token and a token from another issuer, and forwards nothing', async () => {
    const { token } = await logIn(gateway, 'complainant@acme.test');
    const foreign = await mintIssuer({ issuer: gateway });
    await expectRefused(call(`${gateway}/recorded/x`), 401, 'token_missing');
    const [header = '', payload = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const changed = Buffer.from(JSON.stringify({ ...claims, role: 'admin' })).toString('base64url');
    await expectRefused(
      call(`${gateway}/recorded/x`, { token: `${header}.${changed}.${signature}` }),
      401,
      'token_signature_invalid',
    );
    await expectRefused(
      call(`${gateway}/recorded/x`, { token: await foreign.accessToken() }),
      401,
      'token_key_unknown',
    );
    const elsewhere = await mintIssuer({ issuer: 'https://elsewhere.test' });
    await expectRefused(
      call(`${gateway}/recorded/x`, { token: await elsewhere.accessToken() }),
      401,
      'token_issuer_unknown',
    );
  });

  test('refuses a role that the route does not allow', async () => {
    const { token } = await logIn(gateway, 'admin@acme.test');
    await expectRefused(call(`${gateway}/recorded/x`, { token }), 403, 'insufficient_role');
  });

  test('a service that is called directly answers forged headers with 401', async () => {
    for (const port of [place.ports.users, place.ports.complaints, place.ports.auth]) {
      for (const path of ['/v1/users/me', '/v1/complaints', '/internal/revocations', '/nothing']) {
        const bare = await call(`http://127.0.0.1:${port}${path}`);
        expect([bare.status, bare.headers.get('x-identity-refused') !== null]).toEqual([401, true]);
        const spoofed = await call(`http://127.0.0.1:${port}${path}`, {
          headers: { 'x-identity': 'user', 'x-user-id': acmeComplainant, 'x-user-role': 'admin', 'x-tenant-id': acme },
        });
        expect(spoofed.status).toBe(401);
        expect(spoofed.headers.get('content-type')).toBe('application/problem+json');
      }
    }
  });

  test('every service agrees on a key with the gateway, which signs requests with it', async () => {
    const admin = `http://127.0.0.1:${place.ports.admin}`;
    type Shown = { name: string; identity: { algorithm: string; uses: string; keyid?: string } };
    await eventually(async () => {
      const { upstreams } = (await (await fetch(`${admin}/upstreams`)).json()) as { upstreams: Shown[] };
      const agreed = upstreams.filter(({ identity }) => identity.algorithm === 'agreed');
      expect(agreed.map(({ name, identity }) => [name, identity.uses])).toEqual([
        ['auth-service', 'agreed'],
        ['users-service', 'agreed'],
        ['complaint-service', 'agreed'],
        // Nothing answers there.
        ['my-service', 'ed25519'],
        ['mcp-server', 'ed25519'],
      ]);
      // The keys of the services differ.
      expect(new Set(agreed.flatMap(({ identity }) => identity.keyid?.split('.')[1] ?? [])).size).toBe(3);
    });
    const { token } = await logIn(gateway, 'agent@acme.test');
    expect((await call(`${gateway}/v1/users/me`, { token })).status).toBe(200);
    expect((await call(`${gateway}/v1/complaints`, { token })).status).toBe(200);
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    for (const upstream of ['auth-service', 'users-service', 'complaint-service']) {
      expect(metrics).toMatch(
        new RegExp(`^countersign_signatures_total\\{upstream="${upstream}",algorithm="agreed"\\} [1-9]`, 'm'),
      );
    }
    // Clients see the auth-service's keys for access tokens. The gateway also sees its key for agreement.
    const keysAt = async (url: string) => {
      const { keys } = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: { alg: string }[] };
      return [...new Set(keys.map(({ alg }) => alg))];
    };
    expect(await keysAt(gateway)).toEqual(['ES256']);
    expect(await keysAt(`http://127.0.0.1:${place.ports.auth}`)).toEqual(['ES256', 'countersign-agreed-v1']);
  });

  test('a captured signed request works once, and only at its destination', async () => {
    // A second gateway with the same keys uses the recorder as complaint-service, like an attacker in the middle.
    const config = writeGatewayConfig(place, 'tapped.yaml', (yaml) => {
      yaml.listen = { public: '127.0.0.1:0', admin: '127.0.0.1:0', internal: '127.0.0.1:0' };
      // Its port is unknown here, so it cannot verify proofs. Leave out the routes that require them.
      yaml.publicOrigins = [];
      yaml.routes = yaml.routes.filter(({ upstream }) => upstream === 'complaint-service');
      delete yaml.tests;
      yaml.upstreams['complaint-service'] = { ...yaml.upstreams['complaint-service'], targets: [recorder.url] };
    });
    const tapped = startProcess({
      args: [join(repository, 'gateway/src/main.ts'), 'serve', '--config', config],
      env: place.env,
      cwd: repository,
    });
    await tapped.waitFor(/"public":(\d+)/);
    const tappedUrl = `http://127.0.0.1:${/"public":(\d+)/.exec(tapped.output())?.[1]}`;
    try {
      const { token } = await logIn(gateway, 'complainant@acme.test');
      const body = { title: 'Captured', description: 'Filed once, not twice.', category: 'other' };
      await eventually(async () => {
        expect((await call(`${tappedUrl}/v1/complaints`, { token, body })).status).toBe(200);
        expect(recorder.last().headers['x-identity-audience']).toBe('complaint-service');
      });
      const captured = recorder.last();
      const replay = (port: number, target = captured.target, payload = captured.body) => {
        const headers = Array.from(
          { length: captured.rawHeaders.length / 2 },
          (_, index) => [captured.rawHeaders[2 * index], captured.rawHeaders[2 * index + 1]] as const,
        );
        const lines = headers
          .filter(([name]) => !/^(connection|content-length)$/i.test(name ?? ''))
          .map(([name, value]) => `${name}: ${value}`);
        return rawRequest(
          port,
          `POST ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\ncontent-length: ${payload.length}\r\nconnection: close\r\n\r\n${payload}`,
        );
      };
      const { complaints, users } = place.ports;
      expect(await replay(users)).toMatch(/^HTTP\/1.1 401 [\s\S]*x-identity-refused: audience_mismatch/i);
      expect(await replay(complaints, '/v1/complaints?x')).toMatch(
        /^HTTP\/1.1 401 [\s\S]*x-identity-refused: signature_invalid/i,
      );
      expect(await replay(complaints, captured.target, Buffer.from('{}'))).toMatch(
        /^HTTP\/1.1 401 [\s\S]*x-identity-refused: content_digest_mismatch/i,
      );
      expect(await replay(complaints)).toMatch(/^HTTP\/1.1 201 /);
      expect(await replay(complaints)).toMatch(/^HTTP\/1.1 401 [\s\S]*x-identity-refused: replayed/i);
      const listed = await call(`${gateway}/v1/complaints?limit=100`, { token });
      expect(listed.body.items?.filter((item) => (item as { title: string }).title === 'Captured')).toHaveLength(1);
    } finally {
      await tapped.stop();
    }
  });

  test('a complaint is filed, read by an agent and closed, and does not exist for another tenant', async () => {
    const { token } = await logIn(gateway, 'complainant@acme.test');
    const { token: agent } = await logIn(gateway, 'agent@acme.test');
    const { token: foreigner } = await logIn(gateway, 'admin@globex.test');
    const filed = await call(`${gateway}/v1/complaints`, {
      token,
      body: { title: 'No light', description: 'The stairs are dark.', category: 'facilities' },
    });
    expect([filed.status, filed.body.status, filed.headers.get('location')]).toEqual([
      201,
      'open',
      `/v1/complaints/${filed.body.id}`,
    ]);
    const url = `${gateway}/v1/complaints/${filed.body.id}`;
    for (const to of ['in_progress', 'resolved', 'closed']) {
      expect((await call(`${url}/transition`, { token: agent, body: { to, reason: 'Done.' } })).body).toMatchObject({
        status: to,
      });
    }
    expect((await call(`${url}/transition`, { token: agent, body: { to: 'in_progress' } })).body.code).toBe(
      'illegal_transition',
    );
    expect((await call(url, { token })).body.status).toBe('closed');
    expect((await call(url, { token: foreigner })).status).toBe(404);
    expect((await call(`${gateway}/v1/complaints?limit=100`, { token: foreigner })).text).not.toContain(
      String(filed.body.id),
    );
  });

  test('the users-service ensures that complaints are assigned only to agents in their tenant', async () => {
    const { token } = await logIn(gateway, 'agent@acme.test');
    const { token: admin } = await logIn(gateway, 'admin@acme.test');
    const idOf = async (email: string) =>
      String((await call(`${gateway}/v1/users/me`, { token: (await logIn(gateway, email)).token })).body.id);
    const agentId = await idOf('agent@acme.test');
    const filed = await call(`${gateway}/v1/complaints`, {
      token,
      body: { title: 'Assigned', description: 'Only an agent can take it.', category: 'other' },
    });
    const url = `${gateway}/v1/complaints/${filed.body.id}`;
    const assign = (assigneeId: string, by = token) =>
      call(`${url}/assign`, { token: by, body: { assignee_id: assigneeId } });
    for (const assigneeId of [
      acmeComplainant,
      await idOf('admin@acme.test'),
      await idOf('agent@globex.test'),
      randomUUID(),
      'a|b',
      '..',
    ]) {
      const { status, body } = await assign(assigneeId);
      expect([assigneeId, status, body.code]).toEqual([assigneeId, 422, 'unknown_assignee']);
    }
    expect((await call(url, { token })).body.assignee_id).toBeNull();
    const assigned = await assign(agentId, admin);
    expect([assigned.status, assigned.body.assignee_id]).toEqual([200, agentId]);

    // The logs contain all three requests with the id that the client received.
    const id = assigned.headers.get('x-request-id');
    await eventually(() => {
      const nested = readFileSync(join(place.home, 'logs', 'gateway.log'), 'utf8')
        .split('\n')
        .filter((line) => line.includes(`"transaction_id":"${id}"`));
      expect(nested.map((line) => JSON.parse(line))).toMatchObject([
        { route: 'user-lookup', service_id: 'complaint-service', upstream: 'users-service', status: 200 },
        { route: 'user-names', service_id: 'complaint-service', upstream: 'users-service', status: 200 },
      ]);
    });
  });

  test('neither clients nor processes without a key can reach internal routes', async () => {
    const { token } = await logIn(gateway, 'admin@acme.test');
    const path = `/internal/users/${acmeComplainant}`;
    expect((await call(`${gateway}${path}`, { token })).body.code).toBe('no_route');
    expect((await call(`${gateway}/internal/revocations`, { token })).body.code).toBe('no_route');
    expect((await call(`http://127.0.0.1:${place.ports.internal}/internal/revocations`)).status).toBe(404);
    const internal = `http://127.0.0.1:${place.ports.internal}`;
    expect((await call(`${internal}${path}`, { token })).body.code).toBe('caller_missing');
    expect((await call(`${internal}/v1/users/me`, { token })).body.code).toBe('no_route');
  });

  test('a person reads and changes their own profile, and sees only their tenant’s directory', async () => {
    const { token } = await logIn(gateway, 'agent@acme.test');
    expect((await call(`${gateway}/v1/users/me`, { token })).body).toMatchObject({
      email: 'agent@acme.test',
      role: 'agent',
    });
    const changed = await call(`${gateway}/v1/users/me`, { token, method: 'PATCH', body: { display_name: 'Alexis' } });
    expect(changed.body.display_name).toBe('Alexis');
    const directory = await call(`${gateway}/v1/users`, { token });
    expect(directory.body.items).toHaveLength(10);
    expect(directory.text).not.toContain('globex');
  });

  test('a refresh rotates the token, and a logout ends the access token within a second of the response', async () => {
    const { token, refreshToken } = await logIn(gateway, 'complainant@acme.test');
    const refreshed = await call(`${gateway}/v1/auth/refresh`, { body: { refresh_token: refreshToken } });
    expect(refreshed.status).toBe(200);
    expect(refreshed.body.refresh_token).not.toBe(refreshToken);
    expect((await call(`${gateway}/v1/users/me`, { token })).status).toBe(200);
    expect((await call(`${gateway}/v1/auth/logout`, { token, method: 'POST', body: {} })).status).toBe(204);
    const loggedOutAt = performance.now();
    await eventually(async () =>
      expect((await call(`${gateway}/v1/users/me`, { token })).body.code).toBe('token_revoked'),
    );
    expect(performance.now() - loggedOutAt).toBeLessThan(1_000);
    const again = await call(`${gateway}/v1/auth/refresh`, { body: { refresh_token: refreshed.body.refresh_token } });
    expect([again.status, again.body.code]).toEqual([401, 'session_revoked']);
  });

  test('every process logs one structured line for each request, without tokens, passwords or signatures', async () => {
    const { token, refreshToken } = await logIn(gateway, 'admin@acme.test');
    const answer = await call(`${gateway}/v1/complaints?token=canary-in-query`, { token });
    const logs = () =>
      readdirSync(join(place.home, 'logs')).map((file) => readFileSync(join(place.home, 'logs', file), 'utf8'));
    const id = answer.headers.get('x-request-id');
    // The log line is written shortly after the response arrives.
    await eventually(() => {
      const lines = logs()
        .flatMap((log) => log.split('\n'))
        .filter((line) => line.includes(`"request_id":"${id}"`))
        .map((line) => JSON.parse(line));
      expect(lines.map((line) => line.name).sort()).toEqual(['complaint-service', 'gateway']);
    });
    const all = logs().join('');
    for (const secret of [token, refreshToken, password, token.split('.')[2] ?? '', 'canary-in-query', 'keyid='])
      expect(all.includes(secret)).toBe(false);
  });

  testBoundSessions(() => gateway);
  testClientPackage(() => gateway);
  testAccountPages(() => ({ gateway, home: place.home, everything }));

  test('a second start keeps the data', async () => {
    const { token } = await logIn(gateway, 'complainant@acme.test');
    const before = await call(`${gateway}/v1/complaints?limit=100`, { token });
    expect(await everything.stop('SIGINT')).toBe(0);
    everything = await startEverything(place, { GATEWAY_CONFIG: gatewayConfig });
    const after = await call(`${gateway}/v1/complaints?limit=100`, { token });
    // The complaint-service keeps names for a minute, and the agent has just changed theirs.
    const withoutNames = (items: unknown) =>
      (items as Record<string, unknown>[]).map((item) => ({ ...item, assignee_name: null, created_by_name: null }));
    expect(withoutNames(after.body.items)).toEqual(withoutNames(before.body.items));
    expect(
      (await call(`${gateway}/v1/users/me`, { token: (await logIn(gateway, 'agent@acme.test')).token })).body
        .display_name,
    ).toBe('Alexis');
  });
});
