import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, isInstalled } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { type Behind, describeBehind, describeUntraced } from './behind.ts';
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
describePages(behind);
describeConnections(behind);

(isInstalled('nginx') ? test : test.skip)(
  '--probe finds a location that an operator added without a decision',
  async () => {
    const proxy = await proxyUnderTest({ proxy: 'nginx', routes, start });
    const file = join(proxy.directory, 'countersign-server.conf');
    const added = 'location /v1/things/ { proxy_pass http://things; }';
    writeFileSync(file, readFileSync(file, 'utf8').replace('location / {', `${added}\nlocation / {`));
    proxy.signal('SIGHUP');
    await eventually(async () => expect((await proxy.get('/v1/things/1', '')).status).toBe(200));
    // Workers with the old file may serve a few more requests.
    await eventually(async () => {
      const { code, output } = await proxy.integrate('--probe', `http://127.0.0.1:${proxy.port}`);
      expect(code).toBe(1);
      expect(output).toContain('bad GET /v1/things/probe: answers 200 without a decision by the gateway');
    });
    await proxy.close();
  },
);
