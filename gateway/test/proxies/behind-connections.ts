import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isInstalled, testAuthority } from '@countersign/testing';
import { afterAll, describe, expect, test } from '@jest/globals';
import { edited } from '../gateway-under-test.ts';
import type { Behind } from './behind.ts';
import { proxyUnderTest } from './proxy-under-test.ts';

const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET], upstream: things, auth: required }
`;

/** How a real proxy connects to the gateway and to services, and what it keeps of their responses. */
export function describeConnections({ proxy: name, start, cache, showsCertificate }: Behind): void {
  (isInstalled(name) ? describe : describe.skip)(`connections of a real ${name}`, () => {
    const home = mkdtempSync(join(tmpdir(), 'countersign-connections-'));
    afterAll(() => rmSync(home, { recursive: true }));
    const write = (file: string, text: string) => {
      writeFileSync(join(home, file), text);
      return join(home, file);
    };

    test('a Unix socket is proof enough', async () => {
      // nginx's workers run as another user.
      chmodSync(home, 0o755);
      const proxy = await proxyUnderTest({
        proxy: name,
        routes,
        start,
        proof: { listen: `unix:${join(home, 'decision.sock')}`, decision: 'group: www-data' },
      });
      expect((await proxy.get('/v1/things/1')).status).toBe(200);
      await expect(proxy.verify(proxy.gateway.upstream.last())).resolves.toMatchObject({ kind: 'user' });
      await proxy.close();
    });

    if (showsCertificate)
      test('a client certificate is proof, but not if another CA signed it', async () => {
        const [authority, proxies, strangers] = [testAuthority(), testAuthority('proxies'), testAuthority('strangers')];
        const server = authority.issue(['gateway.test']);
        const tls = `{ cert: "${write('tls.pem', server.cert)}", key: "${write('tls.key', server.key)}" }`;
        const status = async (own: { cert: string; key: string }) => {
          const proxy = await proxyUnderTest({
            proxy: name,
            routes,
            start,
            edits: [
              ['listen: {', `listen: { tls: ${tls},`],
              ['http://gateway.test', 'https://gateway.test'],
            ],
            proof: { listen: '127.0.0.1:<port>', decision: `clientCa: "${write('proxies.pem', proxies.ca)}"` },
            prepare(directory) {
              writeFileSync(join(directory, 'proxy.pem'), own.cert);
              writeFileSync(join(directory, 'proxy-key.pem'), own.key);
              writeFileSync(join(directory, 'gateway-ca.pem'), authority.ca);
            },
          });
          const answer = await proxy.get('/v1/things/1');
          await proxy.close();
          return [answer.status, proxy.gateway.upstream.requests.length];
        };
        expect(await status(proxies.issue(['proxy']))).toEqual([200, 1]);
        expect(await status(strangers.issue(['proxy']))).toEqual([503, 0]);
      });

    test('a service over TLS is verified, and sees the certificate of its client', async () => {
      const [services, clients] = [testAuthority('services'), testAuthority('clients')];
      const own = clients.issue(['proxy']);
      const files = {
        ca: write('services.pem', services.ca),
        cert: write('client.pem', own.cert),
        key: write('client.key', own.key),
      };
      const paths: string[] = [];
      const service = createServer(
        { ...services.issue(['things.test']), ca: clients.ca, requestCert: true, rejectUnauthorized: true },
        (request, response) => {
          paths.push(request.url ?? '');
          response.end('ok');
        },
      );
      await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
      const { port } = service.address() as AddressInfo;
      const statuses = [];
      for (const serverName of ['things.test', 'other.test']) {
        const proxy = await proxyUnderTest({
          proxy: name,
          routes: routes.replace('upstream: things', 'upstream: secure'),
          start,
          edits: [
            [
              '  hashed: {',
              `  secure: { targets: ["https://127.0.0.1:${port}"], tls: ${JSON.stringify({ ...files, serverName })} }\n  hashed: {`,
            ],
          ],
        });
        statuses.push((await proxy.get('/v1/things/1')).status);
        await proxy.close();
      }
      service.close();
      service.closeAllConnections();
      expect([statuses[0], statuses[1] === 502 || statuses[1] === 503, paths]).toEqual([200, true, ['/v1/things/1']]);
    });

    if (cache !== undefined)
      test("the proxy's own cache keeps no signed response", async () => {
        const proxy = await proxyUnderTest({
          proxy: name,
          routes,
          start,
          upstream: {
            answer: ({ headers }, response) =>
              void response.setHeader('cache-control', 'max-age=60').end(headers['x-user-id']),
          },
          prepare(directory) {
            const path = join(directory, cache.file);
            chmodSync(directory, 0o755);
            writeFileSync(path, edited(readFileSync(path, 'utf8'), cache.edits));
          },
        });
        const other = await proxy.gateway.issuer.accessToken({ user_id: 'another-user' });
        const answers = [
          await proxy.get('/v1/things/1'),
          await proxy.get('/v1/things/1', `Authorization: Bearer ${other}\r\n`),
        ];
        expect(answers.map(({ status }) => status)).toEqual([200, 200]);
        expect(answers[0]?.body).not.toBe(answers[1]?.body);
        expect(proxy.gateway.upstream.requests).toHaveLength(2);
        await proxy.close();
      });
  });
}
