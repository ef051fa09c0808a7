import { randomBytes } from 'node:crypto';
import { eventually, rawRequest } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { decisionAt, decisionWithSecret } from './decision-edits.ts';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

const secret = randomBytes(32).toString('hex');
const admin = 'upstream: things, auth: required, body: { mode: none }, allow: { roles: [admin] }';
const anyUser = 'methods: [GET, POST], upstream: things, auth: required, body: { mode: none }';
const routes = `
  - { name: all, path: "/**", ${anyUser}, websocket: true, longLived: accept }
  - { name: reports, path: /reports, methods: [POST], ${admin} }
  - { name: report, path: "/reports/:id", methods: [GET], ${admin}, websocket: true, longLived: accept }
  - { name: open, path: "/open/**", methods: [GET], upstream: things, auth: public, rewrite: { prefix: { from: /open, to: /public } } }
`;

/** Each reaches `/reports/:id` or `/reports` in some router, and `/**` in ours. */
const spellings = [
  '/REPORTS',
  '/reports/',
  '/Reports/q3',
  '/rEPORTS/Q3/',
  '/reports/q3/',
  '/reports./q3',
  '/.reports/q3',
  '/reports%20/q3',
  '/reports%C2%A0/q3',
  '/reports%2509/q3',
  '/rep%C3%B6rts/q3',
  '/reports%CC%81/q3',
  '/repor%E2%80%8Bts/q3',
  '/%EF%BD%92eports/q3',
  '/report%C5%BF/q3',
  '/%2572eports/q3',
  '/%25252572eports/q3',
  '/reports%252Fq3',
  '/reports%255Cq3',
  '/reports%253Ba/q3',
  '/reports%EF%BC%8Fq3',
  '/HEALTHZ',
  '/readyz/',
  '/Metrics',
  '/.Well-Known/countersign/events/sso',
  '/well-known/countersign/events/sso',
];

describe("another spelling of another route's path", () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      routes,
      edits: [decisionAt('127.0.0.1:0'), decisionWithSecret('nginx')],
      env: { DECISION_SECRET: secret },
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());
  let before = 0;
  beforeEach(() => {
    before = gateway.upstream.requests.length;
  });

  const request = (target: string, more = '') =>
    gateway.raw(`GET ${target} HTTP/1.1\r\n<host>\r\n${more}Authorization: Bearer ${token}\r\n<close>\r\n\r\n`);
  const upgrade =
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

  test.each(spellings)('%s is refused at the edge, for upgrades and for other proxies', async (target) => {
    for (const more of ['', upgrade]) {
      const { status, code } = await request(target, more);
      expect([status, code]).toEqual([400, 'invalid_target']);
      await eventually(() =>
        expect(
          gateway.log
            .lines()
            .filter(({ path }) => path === target)
            .at(-1),
        ).toMatchObject({ detail: { reason: expect.stringContaining('another spelling of /') } }),
      );
    }
    const asked = `GET /decide HTTP/1.1\r\nHost: gateway.test\r\nX-Countersign-Proxy-Secret: ${secret}\r\nX-Countersign-Method: GET\r\nX-Countersign-Target: ${target}\r\nX-Countersign-Scheme: https\r\nX-Countersign-Address: 192.0.2.7\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
    const decided = parseAnswer(await rawRequest(gateway.running.ports.decision ?? 0, Buffer.from(asked)));
    expect([decided.status, decided.code]).toEqual([403, 'invalid_target']);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test.each(['/reports/Q3', '/reports/%E2%84%AAim', '/Other', '/other/'])('%s has its own route', async (target) => {
    const { status } = await request(target);
    expect(status).toBe(target.startsWith('/reports') ? 403 : 200);
    expect(gateway.upstream.requests.length).toBe(before + (status === 200 ? 1 : 0));
  });

  test('the path after a rewrite is judged too', async () => {
    expect((await request('/open/Notes')).status).toBe(200);
    expect(gateway.upstream.last().target).toBe('/public/Notes');
  });
});
