import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePorts, installTools, startProcess } from '@countersign/testing';
import { beforeAll, expect, test } from '@jest/globals';

const repository = resolve(import.meta.dirname, '../../..');

beforeAll(() => installTools(join(repository, 'examples/external-provider')));

test.each([
  ['external-provider', 'print the signed identity', /"iss":"http:\/\/127\.0\.0\.1:\d+"/],
  ['logout-everywhere', 'show that the token is refused', /after the logout: 401 token_revoked$/],
])(
  'the two commands in the README of %s %s',
  async (example, _ending, last) => {
    const page = readFileSync(join(repository, 'examples', example, 'README.md'), 'utf8');
    const [start = [], logIn = []] = [...page.matchAll(/^npx node --conditions=source (.*)$/gm)].map(([, args = '']) =>
      args.split(' '),
    );
    const [, shown = ''] = /^```text\n([\s\S]*?)\n```$/m.exec(page) ?? [];
    const home = mkdtempSync(join(tmpdir(), 'countersign-external-provider-'));
    const [provider, service, gateway, internal, admin] = await freePorts(5);
    const env = {
      PROVIDER_PORT: String(provider),
      SERVICE_PORT: String(service),
      GATEWAY_PORT: String(gateway),
      GATEWAY_INTERNAL_PORT: String(internal),
      GATEWAY_ADMIN_PORT: String(admin),
      COUNTERSIGN_HOME: home,
      LOG_LEVEL: 'info',
      DRAIN_DELAY_MS: '0',
    };
    const running = startProcess({ args: start, cwd: repository, env });
    try {
      await running.waitFor(/^ready: /m);
      const client = startProcess({ args: logIn, cwd: repository, env });
      expect(await client.exited).toBe(0);
      const lines = client.output().trim().split('\n');
      const [beginning = ''] = shown.split('…');
      expect(lines.join('\n').slice(0, beginning.length)).toBe(beginning);
      expect(lines.at(-1)).toMatch(last);
    } finally {
      await running.stop();
      rmSync(home, { recursive: true });
    }
  },
  60_000,
);
