import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isInstalled } from '@countersign/testing';
import { describe, expect, test } from '@jest/globals';
import { edited } from '../gateway-under-test.ts';
import { type ProxyOptions, proxyUnderTest } from './proxy-under-test.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/behind-a-proxy.md'), 'utf8');
/** What the page shows for an existing file of this proxy. */
const printed = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page)?.[1] ?? '';

const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET], upstream: things, auth: required }
`;

type Own = Readonly<{ write(directory: string, port: number): string; start: ProxyOptions['start'] }>;

const proxies: Readonly<Record<string, Own>> = {
  nginx: {
    write: (directory, port) =>
      `error_log stderr warn;\npid nginx.pid;\nevents {}\n${edited(printed('nginx'), [
        ['listen 80', `listen 127.0.0.1:${port}`],
        ['root /srv', `root ${directory}`],
      ])}`,
    start: (directory) => ({ command: 'nginx', args: ['-p', directory, '-c', 'own', '-g', 'daemon off;'] }),
  },
  caddy: {
    write: (directory, port) =>
      `{\n\tadmin off\n}\n${edited(printed('caddy'), [
        ['api.example.com', `http://:${port}`],
        ['root * /srv', `root * ${directory}`],
      ])}`,
    start: (directory) => ({
      command: 'caddy',
      args: ['run', '--config', `${directory}/own`, '--adapter', 'caddyfile'],
      cwd: '/',
    }),
  },
  haproxy: {
    write: (_, port) =>
      `global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 9s\n  timeout server 9s\n${edited(
        printed('haproxy'),
        [['bind :80', `bind 127.0.0.1:${port}`]],
      )}\nbackend static\n  http-request return status 200 content-type text/plain string hello\n`,
    start: (directory) => ({
      command: 'haproxy',
      args: ['-f', `${directory}/countersign/countersign.cfg`, '-f', `${directory}/own`],
      cwd: '/',
    }),
  },
};

describe.each(Object.keys(proxies).filter(isInstalled))('an existing file of %s', (name) => {
  test('includes the parts as the page says, and serves its own location without a decision', async () => {
    const own = proxies[name] as Own;
    const proxy = await proxyUnderTest({
      proxy: name,
      routes,
      start: own.start,
      prepare(directory, port) {
        symlinkSync('.', join(directory, 'countersign'));
        // nginx's workers run as another user.
        chmodSync(directory, 0o755);
        mkdirSync(join(directory, 'static'));
        writeFileSync(join(directory, 'static/a.txt'), 'hello');
        writeFileSync(join(directory, 'own'), own.write(directory, port));
      },
    });
    expect(await proxy.get('/static/a.txt', '')).toMatchObject({ status: 200, body: 'hello' });
    expect(await proxy.get('/v1/things/1', 'X-User-Id: evil\r\n')).toMatchObject({
      status: 401,
      code: 'token_missing',
    });
    expect(proxy.gateway.upstream.requests).toEqual([]);
    expect((await proxy.get('/v1/things/1')).status).toBe(200);
    await expect(proxy.verify(proxy.gateway.upstream.last())).resolves.toMatchObject({ kind: 'user' });
    if (name === 'nginx') {
      const probed = await proxy.integrate(
        '--probe',
        `http://127.0.0.1:${proxy.port}`,
        '--conf',
        `${proxy.directory}/own`,
      );
      expect(probed.code).toBe(1);
      expect(probed.output.split('\n')).toEqual([
        expect.stringMatching(/^bad GET \/static\/: answers 40[34] without a decision by the gateway$/),
        expect.stringMatching(/^tried 1 route and 4 locations of .*\/own, with Host: gateway.test$/),
      ]);
    }
    // Without --out, each file is printed.
    expect((await proxy.integrate()).output.match(/^==> .* <==$/gm)).toHaveLength(name === 'caddy' ? 2 : 3);
    await proxy.close();
  });
});
