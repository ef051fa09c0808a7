import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { call, logIn } from '../../stacks/client.ts';
import { makePlace, type Place, repository, startEverything } from '../../stacks/stack.ts';

const server = { DATABASE_URL: process.env.DATABASE_URL ?? '' };
const backups = mkdtempSync(join(tmpdir(), 'countersign-backups-'));
let onServer: Place;
let place: Place;
let running: StartedProcess | undefined;

const operate = (command: string, args: readonly string[], env: Readonly<Record<string, string>>) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=source', join(repository, `infra/ship/operate/${command}.ts`), ...args],
    { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', ...place.env, ...server, ...env } },
  );
  return { status, output: stdout + stderr };
};

beforeAll(async () => {
  place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
  onServer = await makePlace({ databaseUrl: server.DATABASE_URL, redisUrl: undefined });
});
afterAll(async () => {
  await running?.stop();
  await onServer.remove();
  await place.remove();
  rmSync(backups, { recursive: true });
});

test('data from PGlite is moved to a server, backed up, and restored there', async () => {
  const gateway = `http://127.0.0.1:${place.ports.gateway}`;
  const prefix = { DATABASE_PREFIX: onServer.env.DATABASE_PREFIX ?? '' };
  running = await startEverything(place);
  const { token, refreshToken } = await logIn(gateway, 'complainant@acme.test');
  const body = { title: 'The lamp is dark', description: 'Since Monday.', category: 'Other' };
  const filed = await call(`${gateway}/v1/complaints`, { token, body });
  expect(filed.status).toBe(201);
  const file = {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'text/plain' },
    body: 'a note',
  };
  const url = `${gateway}/v1/complaints/${filed.body.id}`;
  const attached = (await (await fetch(`${url}/attachments?name=note.txt`, file)).json()) as { id: string };
  const read = async () => [
    (await call(url, { token })).body,
    (await call(`${url}/attachments/${attached.id}`, { token })).text,
  ];
  const before = await read();
  expect(before).toMatchObject([body, 'a note']);
  await running.stop();

  expect(operate('move-to-server', [], prefix)).toMatchObject({
    status: 0,
    output: expect.stringMatching(/auth: copied and compared \d+ tables\nusers: .*\ncomplaints: /),
  });
  expect(operate('move-to-server', [], prefix)).toMatchObject({
    status: 1,
    output: expect.stringContaining('already has data'),
  });
  running = await startEverything(place, { ...server, ...prefix });
  expect(await read()).toEqual(before);

  const backup = join(backups, 'one');
  const elsewhere = join(backups, 'service.jwk.json');
  writeFileSync(elsewhere, 'a key');
  expect(operate('backup', ['--keys', elsewhere, backup], prefix)).toMatchObject({ status: 0 });
  rmSync(elsewhere);
  expect(operate('restore', [backup, '--replace'], prefix)).toMatchObject({
    status: 1,
    output: expect.stringMatching(/is in use: stop the services first/),
  });
  const late = await call(`${gateway}/v1/complaints`, { token, body });
  await running.stop();
  rmSync(join(place.home, 'data/complaint-attachments'), { recursive: true });
  // A newer version ran meanwhile.
  const users = new URL(`/${prefix.DATABASE_PREFIX}_users`, server.DATABASE_URL).href;
  const psql = (sql: string) => spawnSync('psql', ['-d', users, '-tAc', sql], { encoding: 'utf8' }).stdout.trim();
  psql(`set role countersign_users; create table added_later (tenant_id text, user_id text collate "C",
    foreign key (tenant_id, user_id) references members); insert into kysely_migration values ('0002-added', '')`);
  expect(operate('restore', [backup], prefix)).toMatchObject({
    status: 1,
    output: expect.stringContaining('--replace'),
  });
  expect(psql(`select name from kysely_migration where name = '0002-added'`)).toBe('0002-added');
  expect(operate('restore', [backup, '--replace'], prefix)).toMatchObject({ status: 0 });
  expect(psql(`select to_regclass('added_later') is null`)).toBe('t');
  expect(readFileSync(elsewhere, 'utf8')).toBe('a key');

  running = await startEverything(place, { ...server, ...prefix });
  expect(await read()).toEqual(before);
  expect((await call(`${gateway}/v1/complaints/${late.body.id}`, { token })).status).toBe(404);
  const refresh = { body: { refresh_token: refreshToken } };
  expect((await call(`${gateway}/v1/auth/refresh`, refresh)).status).toBe(200);
}, 300_000);
