// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadWithoutFiles } from './load.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-outline-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(text: string) {
  const file = join(directory, 'gateway.yaml');
  writeFileSync(file, text);
  return loadWithoutFiles(file);
}

const whole = `version: 1
listen:
  public: "127.0.0.1:\${PUBLIC_PORT}"
  admin: "\${ADMIN:-127.0.0.1:9191}"
  internal: "\${INTERNAL}"
  decision: 127.0.0.1:8091
  tls: { cert: tls.crt, key: tls.key, clients: { ca: clients.pem } }
decision: { proxy: nginx, clientCa: proxy.pem }
publicOrigins: ["\${ORIGIN}"]
trustedProxies: ["\${PROXIES}"]
redis: "\${REDIS}"
journal: "\${JOURNAL}"
dpop: { nonces: { secretFile: nonces.secret } }
issuers:
  - name: one
    issuer: "https://\${HOST}/realms/\${REALM}"
    audience: "\${AUDIENCE}"
    jwks: issuer.jwks.json
    algorithms: ["\${ALGORITHM}"]
    introspection: { url: "\${INTROSPECTION}", clientId: "\${CLIENT}", clientSecret: "\${CLIENT_SECRET}", cacheFor: "\${CACHE}" }
    claims: { userId: sub, tenantId: tenant_id }
    events: { audience: gateway, sharedSignals: { secretFile: events.secret, jwks: signals.json } }
identity: { keys: ./keys, lifetime: "\${LIFETIME}" }
services: { billing: { keys: billing.jwks.json } }
upstreams:
  api:
    targets: ["https://\${API_HOST}:\${API_PORT}"]
    identity: { algorithm: hmac-sha256, secret: "\${API_SECRET}", nextFile: next.secret }
    minRate: "\${RATE}"
    tls: { ca: ca.pem, cert: client.crt, key: client.key }
routes:
  - { name: all, path: /v1/**, methods: ["\${METHOD}"], upstream: api, auth: required, allow: { roles: ["\${ROLE}"] } }
`;

const named = [
  ...['tls.crt', 'tls.key', 'clients.pem', 'proxy.pem', 'nonces.secret', 'issuer.jwks.json', 'events.secret'],
  ...['signals.json', './keys', 'billing.jwks.json', 'next.secret', 'ca.pem', 'client.crt', 'client.key'],
];

describe('loadWithoutFiles', () => {
  test('gives each variable its default, or a placeholder that its place accepts', () => {
    const { config, variables } = load(whole);
    expect(config.listen.admin).toEqual({ host: '127.0.0.1', port: 9191 });
    expect(config.listen.public.port).toBeGreaterThan(19_999);
    expect(config.publicOrigins).toEqual(['https://origin.invalid']);
    expect(config.issuers[0]).toMatchObject({ issuer: 'https://host/realms/realm', audience: ['audience'] });
    expect(config.issuers[0]?.algorithms).toEqual(['ES256']);
    expect(config.routes[0]?.methods).toEqual(['GET']);
    expect(config.routes[0]?.allow.roles).toEqual(['role']);
    expect(variables).toEqual([...new Set(Array.from(whole.matchAll(/\$\{(\w+)/g), ([, name]) => name))].sort());
  });

  test('names every file and opens none of them, whether absent, a directory or a pipe', () => {
    const { files, config } = load(whole);
    expect(files.toSorted()).toEqual([...named, 'journal'].toSorted());
    expect(config.files.map(({ path }) => path)).toEqual([join(directory, 'gateway.yaml')]);
    for (const file of named) mkdirSync(join(directory, file));
    expect(load(whole).files).toEqual(files);
    for (const file of named) {
      rmSync(join(directory, file), { recursive: true });
      // Whoever opens a pipe that nobody writes to waits forever.
      execFileSync('mkfifo', [join(directory, file)]);
    }
    expect(load(whole).files).toEqual(files);
  });

  test('never reads the environment', () => {
    process.env.AUDIENCE = 'from-the-environment';
    try {
      expect(load(whole).config.issuers[0]?.audience).toEqual(['audience']);
    } finally {
      delete process.env.AUDIENCE;
    }
  });

  test('gives one variable the same value in two files, and different variables different ones', () => {
    const audienceOf = (variable: string) => load(whole.replace('AUDIENCE', variable)).config.issuers[0]?.audience;
    expect(audienceOf('SOME_API')).toEqual(audienceOf('SOME_API'));
    const all = ['SOME_API', 'some_api', 'Some_Api', '_SOME_API', 'V_SOME_API'].map(audienceOf);
    expect(new Set(all.map(String)).size).toBe(5);
  });

  test('refuses a file whose problems do not come from variables', () => {
    expect(() => load(whole.replace('version: 1', 'version: 2'))).toThrow('version');
    expect(() => load(whole.replace('secret: "${API_SECRET}"', 'secret: written'))).toThrow(
      'must come from a variable',
    );
  });
});
