import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, isInstalled } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { type Behind, describeBehind, describeStopped, describeUntraced } from './behind.ts';
import { describeConnections } from './behind-connections.ts';
import { describePages } from './behind-pages.ts';
import { proxyUnderTest } from './proxy-under-test.ts';

const start = (directory: string) => ({
  command: 'nginx',
  args: ['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'],
});
const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET], upstream: things, auth: required }
`;

const behind: Behind = {
  proxy: 'nginx',
  start,
  showsLength: true,
  showsCertificate: true,
  removesAliases: false,
  withoutGateway: [503, 'unavailable'],
  passesLimits: true,
  cache: {
    file: 'nginx.conf',
    edits: [
      [
        '  access_log off;',
        '  access_log off;\n  proxy_cache_path cache keys_zone=all:1m;\n  proxy_cache all;\n  proxy_cache_valid any 1m;',
      ],
    ],
  },
};

describeBehind(behind);
describeUntraced(behind);
describeStopped(behind);
describePages(behind);
describeConnections(behind);

(isInstalled('nginx') ? test : test.skip)(
  '--probe finds the locations that an operator added without a decision',
  async () => {
    const proxy = await proxyUnderTest({ proxy: 'nginx', routes, start });
    const file = join(proxy.directory, 'countersign-server.conf');
    const added = `
location /v1/things/ { proxy_pass http://things; }
location /static/ { return 200 open; }
location = /own-401 { return 401; }
location = /closed { return 444; }
location ~ \\.php$ { return 200; }
`;
    writeFileSync(file, readFileSync(file, 'utf8').replace('location / {', `${added}location / {`));
    proxy.signal('SIGHUP');
    await eventually(async () => expect((await proxy.get('/v1/things/1', '')).status).toBe(200));
    const conf = join(proxy.directory, 'nginx.conf');
    // Workers with the old file may serve a few more requests.
    await eventually(async () => {
      const probed = await proxy.integrate('--probe', `http://127.0.0.1:${proxy.port}`, '--conf', conf);
      const lines = probed.output.split('\n');
      expect([probed.code, lines.slice(-5)]).toEqual([
        1,
        [
          'bad GET /v1/things/: answers 200 without a decision by the gateway',
          'bad GET /static/: answers 200 without a decision by the gateway',
          'bad GET /own-401: answers 401 without a decision by the gateway',
          `tried 1 route and 7 locations of ${conf}, with Host: gateway.test`,
          'not tried: location ~ \\.php$',
        ],
      ]);
      expect(lines).toContain('bad GET /v1/things/probe: answers 200 without a decision by the gateway');
    });
    const blind = await proxy.integrate('--probe', `http://127.0.0.1:${proxy.port}`, '--conf', '/nowhere/nginx.conf');
    expect(blind.output).toMatch(
      /tried 1 route, with Host: gateway.test\nnot tried: locations of nginx: `nginx -T` failed/,
    );
    await proxy.close();
  },
);
