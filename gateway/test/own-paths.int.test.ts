import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

describe("the gateway's own paths", () => {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      edits: [
        [
          '\n  - { name: things',
          '\n  - { name: everything, path: "/**", methods: [GET, POST], upstream: things, auth: public }\n  - { name: things',
        ],
      ],
    });
  });
  afterAll(() => gateway.close());

  test.each([
    '/.well-known/countersign',
    '/.well-known/countersign/',
    '/.well-known/countersign/events/sso',
    '/.well-known/countersign/events/sso?a=/b',
    '/.well-known/countersign?a',
  ])('/** does not cover %s', async (path) => {
    const before = gateway.upstream.requests.length;
    const { status, code } = await gateway.ask(path);
    expect([status, code]).toEqual([404, 'no_route']);
    expect((await gateway.ask(path, { method: 'POST', body: Buffer.from('a') })).status).toBe(404);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test.each(['/.well-known/countersigned', '/.well-known/jwks.json', '/.well-known/'])(
    '/** covers %s',
    async (path) => {
      expect((await gateway.ask(path)).status).toBe(200);
      expect(gateway.upstream.last().target).toBe(path);
    },
  );

  test('the key set has no other method and no query', async () => {
    const url = `http://127.0.0.1:${gateway.running.ports.internal}/.well-known/jwks.json`;
    expect((await fetch(url)).status).toBe(200);
    for (const answer of [await fetch(`${url}?a`), await fetch(url, { method: 'POST' })]) {
      expect(answer.status).toBe(404);
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});
