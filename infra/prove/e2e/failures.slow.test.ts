import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { eventually, type StartedProcess } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { launch, makePlace, type Place, repository, startEverything } from '../../stacks/stack.ts';

describe('npm start with errors', () => {
  let place: Place;
  let started: StartedProcess | undefined;

  beforeEach(async () => {
    place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
  });
  afterEach(async () => {
    await started?.stop();
    started = undefined;
    await place.remove();
  });

  test('reports a port in use and its variable, and starts nothing', async () => {
    const holder = createServer().listen(place.ports.users, '127.0.0.1');
    await once(holder, 'listening');
    started = launch(place);
    expect(await started.exited).toBe(1);
    expect(started.output().trim()).toBe(`port ${place.ports.users} is already in use. Set USERS_PORT to another port`);
    holder.close();
  });

  test('stops everything for an invalid gateway.yaml, with file, line and column', async () => {
    const file = join(place.home, 'broken.yaml');
    writeFileSync(
      file,
      'version: 1\nlisten: { public: "127.0.0.1:0", admin: "127.0.0.1:0", internal: "127.0.0.1:0" }\nroots: []\n',
    );
    started = launch(place, { GATEWAY_CONFIG: file });
    expect(await started.exited).toBe(1);
    expect(started.output()).toMatch(/gateway exited \(exit code 1\)[\s\S]*broken\.yaml:3:1: .*roots/);
  });

  test('Ctrl-C, which arrives twice under npm, stops everything once and in order', async () => {
    started = await startEverything(place);
    const exit = started.stop('SIGINT');
    process.kill(started.pid, 'SIGINT');
    expect(await exit).toBe(0);
    expect(started.output().trimEnd()).toMatch(/Stopping …\nStopped\.$/);
    const log = readFileSync(join(place.home, 'logs', 'gateway.log'), 'utf8')
      .trimEnd()
      .split('\n');
    expect(JSON.parse(log.at(-1) ?? '{}').msg).toBe('stopped');
  });

  test('stops together with the shell through which npm starts it', async () => {
    const command = `${process.execPath} --conditions=source infra/run/start.ts; true`;
    const shell = spawn('sh', ['-c', command], { cwd: repository, env: { ...process.env, ...place.env } });
    let output = '';
    shell.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await eventually(() => expect(output).toContain('is ready'), 120_000);
    shell.kill('SIGTERM');
    await eventually(() => expect(output).toMatch(/Stopping …\nStopped\.\n$/), 30_000);
  });

  test('restarts a process that died, while the others keep running', async () => {
    started = await startEverything(place);
    const launcher = started.pid;
    const pidOf = (name: string) => {
      const lines = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(launcher)])
        .toString()
        .split('\n');
      return Number(
        lines
          .find((line) => line.includes(`${name}/src/main.ts`))
          ?.trim()
          .split(' ')[0],
      );
    };
    const gateway = pidOf('gateway');
    process.kill(pidOf('auth-service'), 'SIGKILL');
    await started.waitFor(/auth-service exited \(SIGKILL\)\. Its last lines:[\s\S]*It restarts in 1 s/);
    const login = () =>
      fetch(`http://127.0.0.1:${place.ports.gateway}/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: 'agent@acme.test', password: 'correct horse battery staple' }),
      });
    expect([502, 503]).toContain((await login()).status);
    // Do not repeat logins, because they are limited.
    await eventually(async () => {
      const answer = await fetch(`http://127.0.0.1:${place.ports.auth}/readyz`).catch(() => undefined);
      expect(answer?.status).toBe(200);
    }, 60_000);
    expect((await login()).status).toBe(200);
    expect(pidOf('gateway')).toBe(gateway);
    expect(await started.stop()).toBe(0);
    expect(() => execFileSync('ps', ['-o', 'pid=', '--ppid', String(launcher)])).toThrow();
  });
});
