import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually, freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { commandsOf, openShell, runAsPrinted } from '../../stacks/page-commands.ts';
import { makePlace, type Place, repository, startEverything } from '../../stacks/stack.ts';

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
      // An email is written shortly after the response. On a busy machine the page's two seconds may be too short.
      if (mail !== undefined) await shell.run(`until [ -n "$(${mail})" ]; do sleep 0.1; done`);
      await runAsPrinted(shell, { command: here(command), output });
    }
  } finally {
    shell.close();
  }
}

/** Pastes the service from README.md into a file of the clone, runs it as README.md says, and calls it. */
async function followReadme(place: Place, servicePort: number): Promise<void> {
  const { gateway, internal } = place.ports;
  const readme = readFileSync(resolve(repository, 'README.md'), 'utf8')
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${gateway}`)
    .replaceAll('127.0.0.1:8090', `127.0.0.1:${internal}`)
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${servicePort}`)
    .replace('listen(3000', `listen(${servicePort}`);
  const [, code = ''] = /^```js\n([\s\S]*?)^```$/m.exec(readme) ?? [];
  const [, run = ''] = /^```sh\n([\s\S]*?)^```$/m.exec(readme) ?? [];
  const clone = mkdtempSync(join(repository, '.readme-'));
  writeFileSync(join(clone, 'hello.mjs'), code);
  const service = spawn('sh', ['-c', `exec ${run}`], {
    cwd: clone,
    env: { ...process.env, NODE_OPTIONS: '' },
    detached: true,
  });
  const shell = openShell(clone, { ...process.env, NODE_OPTIONS: '' });
  try {
    const isUp = `curl -s http://127.0.0.1:${servicePort}/hello -o /dev/null -w '%{http_code}'`;
    await eventually(async () => expect(await shell.run(isUp)).toBe('401'), 60_000);
    const identity = `curl -s http://127.0.0.1:${place.ports.admin}/upstreams | grep -o 'my-service.*'`;
    await eventually(async () => expect(await shell.run(identity)).toMatch(/"uses": ?"agreed"/), 2_000);
    for (const command of commandsOf(readme)) await runAsPrinted(shell, command);
  } finally {
    shell.close();
    process.kill(-(service.pid ?? 0), 'SIGKILL');
    rmSync(clone, { recursive: true });
  }
}

test('docs/first-half-hour.md and README.md work as printed', async () => {
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
    await service.stop();
    await followReadme(place, servicePort);
  } finally {
    await service?.stop();
    await everything?.stop();
    await place.remove();
  }
}, 240_000);
