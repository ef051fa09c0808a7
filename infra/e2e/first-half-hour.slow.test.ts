import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { test } from '@jest/globals';
import { commandsOf, openShell, runAsPrinted } from './page-commands.ts';
import { makePlace, type Place, repository, startEverything } from './stack.ts';

const page = readFileSync(resolve(repository, 'docs/first-half-hour.md'), 'utf8');

async function follow(place: Place, servicePort: number): Promise<void> {
  const { gateway, admin, auth } = place.ports;
  const ports = { 8080: gateway, 8081: auth, 9090: admin, 3000: servicePort };
  const here = (text: string) =>
    Object.entries(ports).reduce(
      (line, [port, free]) => line.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${free}`),
      text,
    );
  const shell = openShell(repository, { ...process.env, NODE_OPTIONS: '', ...place.env });
  try {
    for (const { command, output } of commandsOf(page)) {
      const mail = /\$\((mailed [a-z-]+)\)/.exec(command)?.[1];
      // A mail is written shortly after the answer. On a busy machine the page's two seconds may be too short.
      if (mail !== undefined) await shell.run(`until [ -n "$(${mail})" ]; do sleep 0.1; done`);
      await runAsPrinted(shell, { command: here(command), output });
    }
  } finally {
    shell.close();
  }
}

test('docs/first-half-hour.md works as printed', async () => {
  const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
  const [servicePort = 0] = await freePorts(1);
  let everything: StartedProcess | undefined;
  let service: StartedProcess | undefined;
  try {
    everything = await startEverything(place, { MY_SERVICE_PORT: String(servicePort) });
    service = startProcess({
      args: [resolve(repository, 'examples/express/server.js')],
      env: {
        PORT: String(servicePort),
        GATEWAY_KEYS_URL: `http://127.0.0.1:${place.ports.internal}/.well-known/jwks.json`,
      },
    });
    await follow(place, servicePort);
  } finally {
    await service?.stop();
    await everything?.stop();
    await place.remove();
  }
}, 240_000);
