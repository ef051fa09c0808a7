import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually, freePorts, isInstalled } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { commandsOf, openShell, runAsPrinted } from '../../stacks/page-commands.ts';
import { makePlace, startEverything } from '../../stacks/stack.ts';

const repository = resolve(import.meta.dirname, '../../..');

test('the examples behind real proxies work as printed', async () => {
  const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
  const everything = await startEverything(place);
  try {
    for (const proxy of ['nginx', 'caddy', 'haproxy'].filter(isInstalled)) {
      const ports = await freePorts(6);
      const names = [
        ...['BEHIND_PUBLIC_PORT', 'BEHIND_ADMIN_PORT', 'BEHIND_INTERNAL_PORT', 'BEHIND_DECISION_PORT'],
        ...['MY_SERVICE_PORT', 'PROXY_PORT'],
      ];
      const own = Object.fromEntries(names.map((name, at) => [name, String(ports[at])]));
      const env = { ...process.env, NODE_OPTIONS: '', ...place.env, ...own, PORT: own.MY_SERVICE_PORT };
      const page = readFileSync(join(repository, `examples/behind-${proxy}/README.md`), 'utf8');
      const shell = openShell(repository, {
        ...env,
        GATEWAY_KEYS_URL: `http://127.0.0.1:${own.BEHIND_INTERNAL_PORT}/.well-known/jwks.json`,
      });
      try {
        for (const command of commandsOf(page)) await runAsPrinted(shell, command);
        const isGone = `curl -s http://127.0.0.1:${own.PROXY_PORT}/ -o /dev/null -w '%{http_code}'`;
        await eventually(async () => expect(await shell.run(isGone)).toBe('000'));
      } finally {
        shell.close();
      }
    }
  } finally {
    await everything.stop();
    await place.remove();
  }
}, 240_000);
