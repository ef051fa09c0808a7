import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await gatewayUnderTest({
    hasTokenKey: true,
    edits: [['lifetime: 30s }', 'lifetime: 30s, issuer: "http://127.0.0.1:8090" }']],
    routes: `
  - { name: orders, path: "/orders/**", methods: [GET], upstream: orders, auth: required }
  - { name: single, path: "/single/**", methods: [GET], upstream: single, auth: optional }
`,
    upstreams: (url) => `
  orders: { targets: ["${url}"], identity: { token: { claims: [department] } } }
  single: { targets: ["${url}"], identity: { headers: false, token: { header: authorization, bind: none } } }`,
  });
  const token = await gateway.issuer.accessToken({ department: { name: 'sales' } });
  for (const path of ['/orders/1', '/orders/2', '/single/1', '/single/2', '/single/3'])
    await gateway.ask(path, { token });
});
afterAll(() => gateway.close());

const orders = { header: 'countersign-token', callers: ['user'], bind: 'request', lifetime_sec: 30 };
const single = { header: 'authorization', callers: ['user'], bind: 'none', lifetime_sec: 30 };
type Described = Readonly<{ upstreams: readonly Readonly<{ name: string }>[] }>;

test.each(['/upstreams', '/api/upstreams'])('%s shows the form of the identity, and counts tokens', async (path) => {
  const { upstreams } = (await (await gateway.admin(path)).json()) as Described;
  const named = (name: string) => upstreams.find((one) => one.name === name);
  expect(named('orders')).toMatchObject({
    identity: { headers: true, uses: 'ed25519' },
    identity_token: { ...orders, bound: 2, unbound: 0, reused: 0, claims_left_out: 1 },
  });
  expect(named('single')).toMatchObject({
    identity: { headers: false },
    identity_token: { ...single, bound: 0, unbound: 1, reused: 2, claims_left_out: 0 },
  });
  expect(named('things')).toMatchObject({ identity: { headers: true }, identity_token: null });
});

test('the console shows the same, and says what a copy of a token can do', async () => {
  const text = await (await gateway.admin('/console/upstreams')).text();
  expect(text).toContain(
    'identity token in countersign-token for user, 30 s: bound to the request, and replayable unless the service',
  );
  expect(text).toContain(
    'identity token in authorization for user, 30 s: not bound, so anyone who copies it is the caller at this service',
  );
  expect(text).toContain('1 signed, 2 reused');
  expect(text).toContain('nothing: it receives a token alone');
});

test('the ES256 keys stand beside the others', async () => {
  const { gateway_keys } = (await (await gateway.admin('/api/issuers')).json()) as Record<string, unknown>;
  expect(gateway_keys).toMatchObject([{ algorithm: 'Ed25519' }, { algorithm: 'ES256', state: 'in use' }]);
});

test("the console's explain shows the token's claims, who gets none, and a token of the gateway's own", async () => {
  const explained = async (fields: Record<string, string>) => {
    const url = `http://127.0.0.1:${gateway.running.ports.admin}/console/explain`;
    const text = await (
      await fetch(url, { method: 'POST', body: new URLSearchParams({ method: 'GET', ...fields }) })
    ).text();
    return text.replaceAll('&quot;', '"').replaceAll('<wbr>', '');
  };
  const bound = await explained({ path: '/orders/1', role: 'agent' });
  expect(bound).toContain('JWT {"iss":"http://127.0.0.1:8090/orders","aud":"orders"');
  expect(bound).toContain('replayable unless the service checks req');
  expect(await explained({ path: '/single/1' })).toContain('identity_form_unsupported');
  const last = gateway.upstream.requests.findLast(({ headers }) => headers['countersign-token'] !== undefined);
  const own = await explained({ path: '/orders/1', token: String(last?.headers['countersign-token']) });
  expect(own).toContain('issued by this gateway for orders: an identity token, never an access token');
  expect(own).toContain('"aud": "orders"');
});
