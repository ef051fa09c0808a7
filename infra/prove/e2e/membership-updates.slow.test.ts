import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { call, logIn } from '../../stacks/client.ts';
import { describeParts, type Part, startParts } from '../../stacks/parts.ts';
import { makePlace, type Place, repository, storesToRunOn } from '../../stacks/stack.ts';

const acme = '01936f00-0000-7000-8000-000000000001';
const password = 'a stapler under the piano';

// Another suite tests the stores. This one runs once, on real servers where available.
describe.each(storesToRunOn().slice(-1))('the users-service learns about members on %s', (_name, stores) => {
  let place: Place;
  let gateway: string;
  const running = new Map<string, Part>();

  const start = async (...names: string[]) => {
    for (const part of await startParts(describeParts(place, names))) running.set(part.name, part);
  };
  const stop = async (name: string, signal: NodeJS.Signals) => {
    await running.get(name)?.stop(signal);
    running.delete(name);
  };

  beforeAll(async () => {
    place = await makePlace(stores);
    gateway = `http://127.0.0.1:${place.ports.gateway}`;
    await start('gateway', 'auth-service', 'users-service');
  });
  afterAll(async () => {
    for (const name of running.keys()) await stop(name, 'SIGTERM');
    await place?.remove();
  });

  /** Returns the link from the auth-service's log, because there is no mail server. */
  const linkTo = (email: string) =>
    eventually(() => {
      const lines = running.get('auth-service')?.log().split('\n') ?? [];
      const line = lines.find((each) => each.includes('"link"') && each.includes(email));
      const token = /\?token=([A-Za-z0-9_-]{43})/.exec(line ?? '')?.[1];
      if (token === undefined) throw new Error(`no link to ${email}`);
      return token;
    });
  const newcomer = async (email: string) => {
    expect((await call(`${gateway}/v1/auth/register`, { body: { email } })).status).toBe(202);
    const chosen = { token: await linkTo(email), password };
    const verified = await call(`${gateway}/v1/auth/email/verify`, { body: chosen });
    expect(verified.status).toBe(204);
    const { body } = await call(`${gateway}/v1/auth/login`, { body: { email, password } });
    return String((body.user as { id: string }).id);
  };
  const asAdmin = async () => {
    const { token } = await logIn(gateway, 'admin@acme.test');
    return {
      change: async (userId: string, body: object) => {
        const target = `${gateway}/v1/auth/tenants/${acme}/members/${userId}`;
        expect((await call(target, { method: 'PATCH', token, body })).status).toBe(200);
      },
      read: (userId: string) => call(`${gateway}/v1/users/${userId}`, { token }),
    };
  };

  test('the directory contains a member before their first request', async () => {
    const admin = await asAdmin();
    const userId = await newcomer('first@new.test');
    await eventually(async () =>
      expect((await admin.read(userId)).body).toMatchObject({
        email: 'first@new.test',
        role: 'complainant',
        status: 'active',
      }),
    );
  });

  const operator = async (...command: string[]) => {
    const bin = join(repository, 'auth-service/bin/countersign-auth.js');
    const args = ['--conditions=source', bin, ...command];
    await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...place.env }, cwd: repository });
  };

  test('the directory shows a person as inactive while an operator has disabled them', async () => {
    const admin = await asAdmin();
    const userId = String((await me('complainant@acme.test')).id);
    for (const [command, status] of [
      ['disable', 'inactive'],
      ['enable', 'active'],
    ] as const) {
      await operator('users', command, 'complainant@acme.test');
      await eventually(async () =>
        expect((await admin.read(userId)).body).toMatchObject({ role: 'complainant', status }),
      );
    }
  });

  const me = async (email: string) =>
    (await call(`${gateway}/v1/users/me`, { token: (await logIn(gateway, email)).token })).body;

  test('a demoted member keeps the new role while requests use an older token', async () => {
    const admin = await asAdmin();
    const { token } = await logIn(gateway, 'agent@acme.test');
    const ask = () => call(`${gateway}/v1/users/me`, { token });
    const userId = String((await ask()).body.id);
    let refused = false;
    const asking = Array.from({ length: 10 }, async () => {
      while (!refused) refused = (await ask()).status === 401;
    });
    await admin.change(userId, { role: 'complainant' });
    await Promise.all(asking);
    await eventually(async () => expect((await admin.read(userId)).body.role).toBe('complainant'));
    await admin.change(userId, { role: 'agent' });
    await eventually(async () => expect((await admin.read(userId)).body.role).toBe('agent'));
  });

  test('changes during a kill or stop arrive later, and the newest state remains', async () => {
    const admin = await asAdmin();
    await stop('users-service', 'SIGKILL');
    const userId = await newcomer('second@new.test');
    for (const role of ['agent', 'admin', 'agent']) await admin.change(userId, { role });
    await start('users-service');
    await eventually(
      async () =>
        expect((await admin.read(userId)).body).toMatchObject({
          email: 'second@new.test',
          role: 'agent',
          status: 'active',
        }),
      40_000,
    );
    await stop('users-service', 'SIGTERM');
    await admin.change(userId, { status: 'disabled' });
    // Undelivered updates survive the end of the process that sends them.
    await stop('auth-service', 'SIGTERM');
    await start('auth-service', 'users-service');
    await eventually(async () => expect((await admin.read(userId)).body.status).toBe('inactive'), 70_000);
  }, 180_000);
});
