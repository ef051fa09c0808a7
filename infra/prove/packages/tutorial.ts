import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { freePorts } from '@countersign/testing';
import { expect } from '@jest/globals';
import { commandsOf, openShell, patternOf, type Shell } from '../../stacks/page-commands.ts';
import { repository } from '../../stacks/stack.ts';

const page = readFileSync(resolve(repository, 'docs/tutorial.md'), 'utf8');
const shownPorts = [8080, 8090, 9090, 3000, 4000];

/** Runs docs/tutorial.md after its first step, in a folder that has the packages, with free ports. */
export async function followTutorial(directory: string, env: NodeJS.ProcessEnv): Promise<void> {
  const free = await freePorts(shownPorts.length);
  const here = (text: string) =>
    shownPorts.reduce((changed, port, index) => changed.replaceAll(String(port), String(free[index])), text);
  for (const [, name = '', text = ''] of page.matchAll(/^```js (\S+)\n([\s\S]*?)^```$/gm))
    writeFileSync(join(directory, name), here(text));
  const shell = openShell(directory, env);
  try {
    for (const { command, output } of commandsOf(page)) {
      const moved = here(command);
      if (command.includes(' & ')) {
        await shell.run(moved.replace(' & ', ' 2>> error.log & '));
      } else if (command.includes('countersign init')) {
        await shell.run(moved);
        // `init` writes the ports that the page shows.
        const file = join(directory, 'gateway.yaml');
        writeFileSync(file, here(readFileSync(file, 'utf8')));
      } else {
        if (command.startsWith('kill ')) await restartIssuer(shell, here);
        // Runs each command once and without a delay, because the page itself waits where a reader must.
        expect(await shell.run(moved)).toMatch(patternOf(output));
      }
    }
  } catch (error) {
    const logs = await shell.run('cat error.log gateway.log init.txt 2>&1 | tail -40');
    await shell.run('kill $SERVICE $ISSUER $GATEWAY');
    throw new Error(`${error instanceof Error ? error.message : error}\n${logs}`, { cause: error });
  } finally {
    shell.close();
  }
}

/** The gateway must use the new key immediately, as a reader who restarts the issuer expects. */
async function restartIssuer(shell: Shell, here: (text: string) => string): Promise<void> {
  await shell.run('kill $ISSUER; wait $ISSUER');
  await shell.run('node issuer.js 2>> error.log & ISSUER=$!');
  await shell.run(here('until curl -sf -o keys.json http://127.0.0.1:4000/keys; do sleep 0.1; done'));
  const ask = 'curl -s http://127.0.0.1:8080/orders -H "authorization: Bearer $(cat token.txt)"';
  expect(await shell.run(here(ask))).toContain('"userId":"ada"');
}
