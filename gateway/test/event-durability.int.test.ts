import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually, freePorts, startProcess } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { runCli } from '../src/cli/cli.ts';
import {
  backchannelPath,
  type EventWorld,
  eventSecret,
  eventsPath,
  eventWorld,
  previousSecret,
} from './event-gateway.ts';

describe('an acknowledged event', () => {
  let world: EventWorld;
  beforeEach(async () => {
    world = await eventWorld();
  });
  afterEach(() => world.close());

  test('is in effect after a restart, and still recognized as a repeat', async () => {
    const token = await world.token();
    const signal = await world.signal();
    const first = await world.start();
    expect((await first.push(signal)).status).toBe(202);
    await first.stop();
    const second = await world.start();
    expect(await second.ask(token)).toEqual([401, 'token_revoked']);
    expect((await second.push(signal)).status).toBe(202);
    expect(JSON.stringify(second.log.lines())).toContain('"result":"repeated"');
  });

  test('is never promised by a gateway whose journal cannot be written: it does not start', async () => {
    writeFileSync(join(world.home, 'a-file'), '');
    await expect(world.start({ journal: 'a-file/journal' })).rejects.toThrow('journal: cannot be written (ENOTDIR)');
  });

  test('is named by countersign token and explain, with the gateway or without it', async () => {
    const gateway = await world.start();
    const [file, token] = [join(world.home, 'gateway.yaml'), join(world.home, 'token')];
    writeFileSync(file, world.yaml());
    writeFileSync(token, await world.token({ sub: 'u-7' }));
    const run = async (...args: string[]) => {
      const lines: string[] = [];
      const write = (line: string) => void lines.push(line);
      const env = { SSF_SECRET: eventSecret, SSF_PREVIOUS: previousSecret };
      const plain = { paint: (_style: unknown, text: string) => text, isInteractive: false };
      const code = await runCli([...args, '-c', file], { out: write, err: write, env, nowMs: world.nowMs, ...plain });
      return [code, lines.join('\n')] as const;
    };
    expect((await run('token', token))[0]).toBe(0);
    const paths = [backchannelPath, eventsPath].map((path) => `  receives events at ${path}`);
    expect((await run('check'))[1].split('\n')).toEqual([expect.stringContaining('good'), ...paths]);
    const about = { sub_id: { format: 'iss_sub', iss: world.issuer.issuer, sub: 'u-7' } };
    expect((await gateway.push(await world.signal({ jti: 'of-u-7', ...about }))).status).toBe(202);
    const explain = ['explain', 'GET', '/things/1', '--token', token];
    for (const stop of [gateway.stop, async () => {}]) {
      for (const args of [['token', token], explain]) {
        const [code, text] = await run(...args);
        expect(code).toBe(1);
        expect(text).toMatch(
          /the event session-revoked by Shared Signals of sso, \d+ s ago \(received \S+, id of-u-7\)/,
        );
      }
      await stop();
    }
  });

  test('is in effect after kill -9 of the gateway', async () => {
    const [port = 0, admin = 0, internal = 0] = await freePorts(3);
    const file = join(world.home, 'gateway.yaml');
    writeFileSync(
      file,
      world
        .yaml()
        .replace('public: "127.0.0.1:0"', `public: "127.0.0.1:${port}"`)
        .replace('admin: "127.0.0.1:0"', `admin: "127.0.0.1:${admin}"`)
        .replace('internal: "127.0.0.1:0"', `internal: "127.0.0.1:${internal}"`),
    );
    const env = { SSF_SECRET: eventSecret, SSF_PREVIOUS: previousSecret };
    const args = [resolve(import.meta.dirname, '../bin/countersign.js'), 'serve', '-c', file];
    const ready = () =>
      eventually(async () => expect((await fetch(`http://127.0.0.1:${admin}/readyz`)).status).toBe(200), 30_000);
    const logOut = async (token: string) =>
      (
        await request(`http://127.0.0.1:${port}${backchannelPath}`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: `logout_token=${token}`,
        })
      ).statusCode;
    const ask = async (token: string) =>
      (
        await fetch(`http://127.0.0.1:${port}/things/1`, {
          headers: { authorization: `Bearer ${token}`, connection: 'close' },
        })
      ).status;

    const first = startProcess({ args, env });
    await ready();
    const sessions = Array.from({ length: 40 }, (_, at) => `s-${at}`);
    const tokens = await Promise.all(sessions.map((sid) => world.token({ sid })));
    const acknowledged: number[] = [];
    const sending = sessions.map(async (sid, at) => {
      if ((await logOut(await world.logoutToken({ sid }))) === 200) acknowledged.push(at);
      // Killed while other events are still arriving.
      if (acknowledged.length === 10) await first.stop('SIGKILL');
    });
    await Promise.allSettled(sending);
    expect(acknowledged.length).toBeGreaterThanOrEqual(10);
    const second = startProcess({ args, env });
    await ready();
    for (const at of acknowledged) expect(await ask(tokens[at] ?? '')).toBe(401);
    expect(await ask(await world.token({ sid: 'other' }))).toBe(200);
    await second.stop();
  });
});

// A small disk, which needs root. CI's containers run as root.
const canMount = spawnSync('sh', ['-c', 'd=$(mktemp -d) && mount -t tmpfs tmpfs $d && umount $d']).status === 0;

(canMount ? test : test.skip)('an event on a full disk is 503, and accepted when it is sent again later', async () => {
  const world = await eventWorld();
  const disk = join(world.home, 'journal');
  mkdirSync(disk);
  const mount = (...args: string[]) => expect(spawnSync('mount', args).status).toBe(0);
  const gateway = await world.start({ beforeStart: () => mount('-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk) });
  try {
    const token = await world.token({ sub: 'late' });
    const about = (sub: string) => ({ sub_id: { format: 'iss_sub', iss: world.issuer.issuer, sub } });
    let status = 202;
    for (let at = 0; status === 202 && at < 500; at += 1)
      ({ status } = await gateway.push(await world.signal(about(`u-${at}`))));
    const event = await world.signal(about('late'));
    const refused = await gateway.push(event);
    expect([status, refused.status, refused.headers['retry-after']]).toEqual([503, 503, '2']);
    expect(await gateway.ask(token)).toEqual([200, undefined]);
    mount('-o', 'remount,size=1m', disk);
    expect((await gateway.push(event)).status).toBe(202);
    expect(await gateway.ask(token)).toEqual([401, 'token_revoked']);
  } finally {
    await gateway.stop();
    spawnSync('umount', [disk]);
    await world.close();
  }
});
