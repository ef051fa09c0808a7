import { type GatewayUnderTest, gatewayUnderTest } from '../../gateway/test/gateway-under-test.ts';

/** Text that runs if it is not escaped in an element, an attribute or a script. */
export const hostile = `"'><img src=x onerror=alert(1)><script>alert(2)</script>`;

const edits = [
  ['routes:', `routes:\n  - { name: down, path: "/v1/down/**", methods: [GET], upstream: down, auth: public }`],
  ['upstreams:', `upstreams:\n  down: { targets: ["http://127.0.0.1:1"], health: { path: /healthz, interval: 1s } }`],
] as const;

/**
 * Starts a gateway with markup wherever its configuration and traffic allow it: in paths, patterns, claims, kids,
 * headers, user agents, and the address of an upstream that does not respond.
 */
export async function hostileSite(): Promise<GatewayUnderTest> {
  const gateway = await gatewayUnderTest({ edits });
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
  await gateway.reload([...edits, ['path: /v1/admin', `path: "/v1/<script>alert(3)</script>"`]]).catch(() => {});
  await gateway.reload([
    ...edits,
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
