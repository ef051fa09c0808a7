import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertificateAndKey, testAuthority } from '@countersign/testing';
import { type GatewayUnderTest, gatewayUnderTest } from '../../../gateway/test/gateway-under-test.ts';

const dayMs = 86_400_000;
const hosts = ['gateway', 'api', 'orders', 'payments'].map(
  (name) => `${name}.eu-central-1.production.countersign.test`,
);

/**
 * Starts a gateway with a public TLS listener and three upstreams with mutual TLS. One certificate expires in 5 days,
 * one in 20 days, one has expired, and the files of one upstream become unreadable.
 */
export async function certificateSite(): Promise<GatewayUnderTest> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-certificates-'));
  const write = (name: string, text: string): string => {
    const path = join(home, name);
    writeFileSync(path, text);
    return path;
  };
  const pair = (name: string, { cert, key }: CertificateAndKey, chain = '') =>
    `cert: "${write(`${name}.pem`, cert + chain)}", key: "${write(`${name}.key`, key)}"`;
  const authority = testAuthority('Countersign Test Authority G2', 400 * dayMs);
  const clients = testAuthority('Authority of the Clients', 20 * dayMs);
  const ca = write('ca.pem', authority.ca);
  const listener = pair('listener', authority.issue(hosts, 5 * dayMs), authority.ca);
  const upstream = (name: string, cert: string) =>
    `  ${name}: { targets: ["https://127.0.0.1:1"], tls: { ca: "${ca}", ${cert} } }`;
  const upstreams = [
    upstream('payments', pair('payments', authority.issue(['gateway'], 1_000))),
    upstream('orders', pair('orders', authority.issue(['gateway'], 90 * dayMs))),
    upstream('invoices', pair('invoices', authority.issue(['gateway'], dayMs / 2))),
  ];
  const gateway = await gatewayUnderTest({
    edits: [
      ['listen: {', `listen: { tls: { ${listener}, clients: { ca: "${write('clients.pem', clients.ca)}" } },`],
      ['http://gateway.test', 'https://gateway.test'],
      ['upstreams:', `upstreams:\n${upstreams.join('\n')}`],
    ],
  });
  write('orders.pem', 'no certificate');
  return {
    ...gateway,
    async close() {
      await gateway.close();
      rmSync(home, { recursive: true });
    },
  };
}

/** Text that runs if it is not escaped in an element, an attribute or a script. */
export const hostile = `"'><img src=x onerror=alert(1)><script>alert(2)</script>`;

const hostileEdits = [
  ['routes:', `routes:\n  - { name: down, path: "/v1/down/**", methods: [GET], upstream: down, auth: public }`],
  ['upstreams:', `upstreams:\n  down: { targets: ["http://127.0.0.1:1"], health: { path: /healthz, interval: 1s } }`],
] as const;

/**
 * Starts a gateway with markup wherever its configuration and traffic allow it: in paths, patterns, claims, kids,
 * headers, user agents, and the address of an upstream that does not respond.
 */
export async function hostileSite(): Promise<GatewayUnderTest> {
  const gateway = await gatewayUnderTest({ edits: hostileEdits });
  const token = await gateway.issuer.accessToken({ role: 'agent' });
  const visible = encodeURI(hostile).replaceAll("'", '%27');
  await gateway.ask(`/v1/things/${visible}?secret=hunter2`, { token, headers: { 'user-agent': hostile } });
  await gateway.ask('/v1/admin', { token, headers: { 'x-user-id': hostile } });
  for (const [claims, header] of hostileTokens) {
    await gateway.ask('/v1/things/1', { token: await gateway.issuer.accessToken(claims, header) });
  }
  await gateway.raw(`GET /${hostile.replaceAll(' ', '/')} HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n`);
  for (let count = 0; count < 30; count += 1) await gateway.ask('/v1/down/1');
  for (let count = 0; count < 5; count += 1) await gateway.ask('/v1/limited');
  await gateway.reload([...hostileEdits, ['path: /v1/admin', `path: "/v1/<script>alert(3)</script>"`]]).catch(() => {});
  await gateway.reload([
    ...hostileEdits,
    [
      'methods: [GET, POST], upstream: things, auth: required, allow',
      'methods: [GET], upstream: things, auth: required, allow',
    ],
  ]);
  return gateway;
}

const hostileTokens: readonly (readonly [Record<string, unknown>, Record<string, string>])[] = [
  [{ user_id: hostile }, {}],
  [{ role: hostile }, {}],
  [{ tenant_id: hostile }, {}],
  [{ iss: `https://${hostile}` }, {}],
  [{ aud: hostile }, {}],
  [{}, { kid: hostile.replaceAll(' ', '') }],
  [{}, { typ: hostile }],
];

/** An issuer with a Keycloak realm URL. */
export const realm = 'https://login.eu-central-1.sso.example.test/auth/realms/customer-accounts-production';
export const otherRealm = realm.replace('customer', 'supplier');

const audience = 'audience: complaints-api, jwks: "https://login.eu-central-1.sso.example.test/certs"';

const realmEdits = [
  ['issuer: "http://issuer.test"', `issuer: "${realm}"\n    tenants: [acme]\n    roles: [agent]`],
  [
    'identity:',
    `  - { issuer: "${otherRealm}", ${audience}, algorithms: [ES256], tenants: [globex], roles: [agent] }\nidentity:`,
  ],
  [
    'routes:',
    `routes:
  - name: exports
    path: "/v1/exports/**"
    methods: [GET]
    upstream: things
    auth: required
    allow: { clients: [{ iss: "${realm}", id: nightly-export }, { iss: "${otherRealm}", id: nightly-export }] }`,
  ],
] as const;

/**
 * Starts a gateway that trusts two realms with long addresses. It has refused tokens from both realms, and from an
 * unknown issuer.
 */
export async function realmSite(): Promise<GatewayUnderTest> {
  const gateway = await gatewayUnderTest({ edits: realmEdits, isReady: false });
  for (const iss of [realm, otherRealm, `${realm}/unknown`]) {
    for (const claims of [{}, { aud: `${realm}/another-audience` }, { client_id: 'web' }]) {
      const token = await gateway.issuer.accessToken({ iss, tenant_id: 'acme', role: 'agent', ...claims });
      for (const path of ['/v1/things/1', '/v1/exports/1']) await gateway.ask(path, { token });
    }
  }
  return gateway;
}
