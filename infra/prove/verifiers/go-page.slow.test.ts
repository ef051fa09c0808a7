import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { testGateway } from '@countersign/identity/testing';
import { eventually, freePorts } from '@countersign/testing';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { goEnv, hasGo } from '../../stacks/languages.ts';
import { commandsOf, openShell, patternOf } from '../../stacks/page-commands.ts';
import { repository } from '../../stacks/stack.ts';

const page = readFileSync(resolve(repository, 'docs/service-in-go.md'), 'utf8');

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'countersign-go-page-'));
});
afterEach(() => rmSync(home, { recursive: true }));

(hasGo ? test : test.skip)('the commands and programs of docs/service-in-go.md do what the page says', async () => {
  const gateway = testGateway({ audience: 'my-service' });
  const keys = createServer((_req, res) => void res.end(JSON.stringify(gateway.jwks))).listen(0, '127.0.0.1');
  await once(keys, 'listening');
  const [port = 0] = await freePorts(1);
  const here = (text: string) =>
    text.replaceAll(':3000', `:${port}`).replaceAll(':8090', `:${(keys.address() as AddressInfo).port}`);
  symlinkSync(repository, join(home, 'countersign'));
  const shell = openShell(home, goEnv);
  try {
    for (const { command, output } of commandsOf(page)) {
      if (command.startsWith('go build')) {
        for (const [, name = '', text = ''] of page.matchAll(/^```go (\S+)\n([\s\S]*?)^```$/gm))
          writeFileSync(join(home, 'hello', name), here(text));
      }
      if (command.startsWith('kill ')) {
        const url = `http://127.0.0.1:${port}/hello`;
        await eventually(async () => {
          const answer = await fetch(url, { headers: gateway.signedRequest({ path: '/hello' }).headers });
          expect([answer.status, await answer.text()]).toEqual([200, 'hello user-1\n']);
        });
      }
      expect([command, await shell.run(here(command))]).toEqual([command, expect.stringMatching(patternOf(output))]);
    }
  } finally {
    await shell.run('kill $SERVICE 2> kill.log');
    shell.close();
    keys.close();
    keys.closeAllConnections();
  }
});
