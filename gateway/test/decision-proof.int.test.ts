import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertificateAndKey, startProcess, testAuthority } from '@countersign/testing';
import { afterAll, expect, test } from '@jest/globals';
import { decisionAt, decisionFor, decisionOverTls } from './decision-edits.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-decision-proof-'));
afterAll(() => rmSync(home, { recursive: true }));

const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET], upstream: things, auth: required }
`;
const dialect = (token: string) => ({
  host: 'gateway.test',
  'x-countersign-method': 'GET',
  'x-countersign-target': '/v1/things/1',
  'x-countersign-scheme': 'https',
  'x-countersign-address': '192.0.2.7',
  authorization: `Bearer ${token}`,
});

test('a Unix socket needs no other proof, is open to its group, and replaces a stale one', async () => {
  const path = join(home, 'run', 'decision.sock');
  const open = () =>
    gatewayUnderTest({
      routes,
      edits: [decisionAt(`unix:${path}`), decisionFor('nginx, group: daemon')],
    });
  const ask = async (gateway: GatewayUnderTest) => {
    const call = request({
      socketPath: path,
      path: '/decide',
      headers: dialect(await gateway.issuer.accessToken()),
    }).end();
    const [answer] = await once(call, 'response');
    answer.resume();
    return [answer.statusCode, answer.headers['x-identity']];
  };
  const gateway = await open();
  expect(await ask(gateway)).toEqual([200, 'user']);
  expect([statSync(path).mode & 0o777, statSync(join(home, 'run')).mode & 0o777]).toEqual([0o660, 0o750]);
  expect(statSync(path).gid).toBe(1);
  await expect(open()).rejects.toThrow(`decision listener: ${path} is already in use`);
  await gateway.close();

  const listening = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('listens'))`;
  const killed = startProcess({ args: ['-e', listening] });
  await killed.waitFor(/listens/);
  await killed.stop('SIGKILL');
  const again = await open();
  expect(await ask(again)).toEqual([200, 'user']);
  await again.close();
});

test('a certificate of the proxy is its proof, and never that of a token', async () => {
  const { edits, proxies, tls } = decisionOverTls(home, 'nginx');
  const gateway = await gatewayUnderTest({ routes, edits, isReadAside: true });
  const ask = async (certificate: Partial<CertificateAndKey>, token: string) => {
    const call = requestTls({
      port: gateway.running.ports.decision,
      host: '127.0.0.1',
      ...tls,
      path: '/decide',
      headers: dialect(token),
      ...certificate,
    }).end();
    const [answer] = await once(call, 'response');
    answer.resume();
    return [answer.statusCode, answer.headers['x-countersign-code']];
  };
  const proxy = proxies.issue(['nginx']);
  const token = await gateway.issuer.accessToken();
  expect(await ask(proxy, token)).toEqual([200, undefined]);
  expect(await ask({}, token)).toEqual([503, undefined]);
  expect(await ask(testAuthority('strangers').issue(['nginx']), token)).toEqual([503, undefined]);
  await gateway.reload(edits);
  expect(await ask(proxy, token)).toEqual([200, undefined]);
  const bound = await gateway.issuer.accessToken({ cnf: { 'x5t#S256': 'A'.repeat(43) } });
  expect(await ask(proxy, bound)).toEqual([401, 'token_certificate_unsupported']);
  await gateway.close();
});
