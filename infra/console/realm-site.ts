import { type GatewayUnderTest, gatewayUnderTest } from '../../gateway/test/gateway-under-test.ts';

/** An issuer with a Keycloak realm URL. */
export const realm = 'https://login.eu-central-1.sso.example.test/auth/realms/customer-accounts-production';
export const otherRealm = realm.replace('customer', 'supplier');

const audience = 'audience: complaints-api, jwks: "https://login.eu-central-1.sso.example.test/certs"';

const edits = [
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
  const gateway = await gatewayUnderTest({ edits, isReady: false });
  for (const iss of [realm, otherRealm, `${realm}/unknown`]) {
    for (const claims of [{}, { aud: `${realm}/another-audience` }, { client_id: 'web' }]) {
      const token = await gateway.issuer.accessToken({ iss, tenant_id: 'acme', role: 'agent', ...claims });
      for (const path of ['/v1/things/1', '/v1/exports/1']) await gateway.ask(path, { token });
    }
  }
  return gateway;
}
