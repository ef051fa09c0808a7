import { isInstalled } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { gatewayUnderTest } from '../gateway-under-test.ts';
import { type ProxyOptions, type ProxyUnderTest, proxyUnderTest } from './proxy-under-test.ts';

const issuer = 'http://127.0.0.1:8090';

const forms = {
  orders: '{ token: {} }',
  alone: '{ headers: false, token: {} }',
  bearer: '{ token: { header: authorization } }',
  single: '{ headers: false, token: { header: authorization, bind: none } }',
  passed: '{ token: { header: x-of-gateway, unauthorized: pass } }',
  things: '{}',
};
type Name = keyof typeof forms;
const headerOf = (name: Name) => /header: ([\w-]+)/.exec(forms[name])?.[1] ?? 'countersign-token';

const routes = Object.keys(forms)
  .map(
    (name) => `
  - { name: ${name}, path: "/${name}/**", methods: [GET], upstream: ${name}, auth: optional }
  - { name: ${name}-open, path: "/open/${name}", methods: [GET], upstream: ${name}, auth: public }`,
  )
  .join('');

const starts: Readonly<Record<string, ProxyOptions['start']>> = {
  nginx: (directory) => ({ command: 'nginx', args: ['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'] }),
  caddy: (directory) => ({
    command: 'caddy',
    args: ['run', '--config', `${directory}/Caddyfile`, '--adapter', 'caddyfile'],
  }),
  haproxy: (directory) => ({ command: 'haproxy', args: ['-f', `${directory}/haproxy.cfg`] }),
};

/** Every header that carries a token somewhere in the file, in spellings that some services read alike. */
const forged = [
  'Countersign-Token: intruder',
  'countersign_token: intruder',
  'COUNTERSIGN.TOKEN: intruder',
  'X-Of-Gateway: intruder',
  'X_Of_Gateway: intruder',
  'Authorization: Basic intruder',
  'Connection: countersign-token, x-of-gateway, authorization\r\nCountersign-Token: intruder',
  'X-Countersign-Service: intruder',
];

describe.each(Object.entries(starts).filter(([name]) => isInstalled(name)))(
  'identity tokens behind %s',
  (name, start) => {
    let proxy: ProxyUnderTest;
    let keys: ReturnType<typeof createLocalJWKSet>;
    let seen = 0;
    beforeAll(async () => {
      proxy = await proxyUnderTest({
        proxy: name,
        routes,
        edits: [['lifetime: 30s }', `lifetime: 30s, issuer: "${issuer}" }`]],
        upstream: {
          answer({ target, headers }, response) {
            for (const one of ['countersign-token', 'authorization', 'x-of-gateway'])
              if (headers[one] !== undefined) response.setHeader(one, `echoed ${headers[one]}`);
            if (target.endsWith('/401')) response.setHeader('www-authenticate', 'Own').writeHead(401);
            response.end();
          },
        },
        open: (options) =>
          gatewayUnderTest({
            ...options,
            hasTokenKey: true,
            upstreams: (url) =>
              Object.entries(forms)
                .filter(([one]) => one !== 'things')
                .map(([one, form]) => `  ${one}: { targets: ["${url}"], identity: ${form} }`)
                .join('\n'),
          }),
        start,
      });
      const jwks = await (await proxy.gateway.admin('/.well-known/identity-token-jwks.json')).json();
      keys = createLocalJWKSet(jwks as JSONWebKeySet);
    });
    afterAll(() => proxy.close());
    beforeEach(() => {
      seen = proxy.gateway.upstream.requests.length;
    });
    const arrived = () => proxy.gateway.upstream.requests.slice(seen);
    const names = Object.keys(forms).filter((one) => one !== 'things') as Name[];

    test.each(names)('%s gets the token for itself, and nothing of the client', async (to) => {
      const { status, text } = await proxy.get(
        `/${to}/1?a=b`,
        '<token>\r\nCountersign-Token: intruder\r\nX-Of-Gateway: intruder\r\n',
      );
      expect([status, arrived().length]).toEqual([200, 1]);
      expect(text).not.toMatch(/echoed|intruder/);
      const [{ headers } = proxy.gateway.upstream.last()] = arrived();
      const token = String(headers[headerOf(to)]).replace(/^Bearer /, '');
      const { payload } = await jwtVerify(token, keys, { issuer: `${issuer}/${to}`, audience: to });
      expect(payload).toMatchObject({
        caller: 'user',
        ...(to !== 'single' && { req: { m: 'GET', t: `/${to}/1?a=b` } }),
      });
      const others = ['countersign-token', 'x-of-gateway', 'authorization'].filter((one) => one !== headerOf(to));
      for (const other of others) expect(headers).not.toHaveProperty(other);
      expect(headers).not.toHaveProperty('x-countersign-service');
      expect('signature' in headers).toBe(!forms[to].includes('headers: false'));
    });

    test.each(forged)('a client\'s "%s" never reaches a service, with a token and without', async (line) => {
      for (const to of Object.keys(forms)) {
        await proxy.get(`/open/${to}`, `${line}\r\n`);
        if (line.startsWith('Authorization')) continue;
        await proxy.get(`/${to}/1`, `<token>\r\n${line}\r\n`);
        await proxy.get(`/${to}/1`, `${line}\r\n`);
      }
      const texts = arrived().map(({ rawHeaders }) => JSON.stringify(rawHeaders));
      expect(texts.filter((text) => /intruder/.test(text))).toEqual([]);
      for (const { headers } of arrived().filter((one) => one.headers['x-identity'] === 'anonymous'))
        for (const header of ['countersign-token', 'authorization', 'x-of-gateway'])
          expect(headers).not.toHaveProperty(header);
    });

    test.each(['alone', 'single'])('an anonymous request to %s, which reads tokens alone, is refused', async (to) => {
      const { status, code } = await proxy.get(`/open/${to}`, '');
      expect([status, code, arrived().length]).toEqual([403, 'identity_form_unsupported', 0]);
    });

    test('a 401 of a service that refuses the token is 502, and one that may pass has no challenge', async () => {
      for (const to of ['orders', 'single'])
        expect(await proxy.get(`/${to}/401`)).toMatchObject({ status: 502, code: 'identity_refused' });
      const passed = await proxy.get('/passed/401');
      expect([passed.status, passed.headers['www-authenticate']]).toEqual([401, undefined]);
      const own = await proxy.get('/things/401');
      expect([own.status, own.text.match(/www-authenticate.*/gi)]).toEqual([401, [expect.stringMatching(/: Own$/)]]);
    });

    test('--probe tries the headers of tokens', async () => {
      const { code, output } = await proxy.integrate('--probe', `http://127.0.0.1:${proxy.port}`);
      expect([code, output]).toEqual([0, expect.stringContaining('tried 12 routes')]);
    });
  },
);
