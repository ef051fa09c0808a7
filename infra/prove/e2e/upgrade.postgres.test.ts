import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@countersign/database';
import { installTools, type StartedProcess, startProcess } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { databaseNames, databases } from '../../ship/operate/place.ts';
import { call, logIn } from '../../stacks/client.ts';
import { makePlace, type Place, repository, startEverything } from '../../stacks/stack.ts';

const databaseUrl = process.env.DATABASE_URL ?? '';
const [, commit = ''] = /`([0-9a-f]{40})`/.exec(readFileSync(join(repository, 'docs/versions.md'), 'utf8')) ?? [];
const earlier = mkdtempSync(join(tmpdir(), 'countersign-earlier-'));
let place: Place;
let running: StartedProcess | undefined;

beforeAll(async () => {
  place = await makePlace({ databaseUrl, redisUrl: process.env.REDIS_URL });
  // Fails in a clone without history, which must be fetched completely.
  const files = execFileSync('git', ['archive', commit], { cwd: repository, maxBuffer: 2 ** 28 });
  execFileSync('tar', ['-x', '-C', earlier], { input: files });
  installTools(earlier);
  // The pages are not part of this test, so they need not be built again.
  if (existsSync(join(repository, 'web/dist')))
    cpSync(join(repository, 'web/dist'), join(earlier, 'web/dist'), { recursive: true });
}, 300_000);
afterAll(async () => {
  await running?.stop();
  await place?.remove();
  rmSync(earlier, { recursive: true });
});

test('services of the first deployable version continue during and after the current migrations', async () => {
  const gateway = `http://127.0.0.1:${place.ports.gateway}`;
  const file = async (token: string, title: string) => {
    const body = { title, description: 'Since Monday.', category: 'other' };
    expect((await call(`${gateway}/v1/complaints`, { token, body })).status).toBe(201);
  };
  const titles = async (token: string) =>
    (await call(`${gateway}/v1/complaints`, { token })).body.items?.map((item) => (item as { title: string }).title);
  running = startProcess({ args: [join(earlier, 'infra', 'local/start.ts')], env: place.env, cwd: earlier });
  await running.waitFor(/Ctrl-C stops everything/);
  const first = await logIn(gateway, 'complainant@acme.test');
  await file(first.token, 'Before');

  // As an instance of the current version does when it starts.
  for (const name of databaseNames) {
    const location = { serverUrl: databaseUrl };
    await (await openDatabase({ ...databases[name], location, name: `${place.env.DATABASE_PREFIX}_${name}` })).close();
  }
  const second = await logIn(gateway, 'complainant@acme.test');
  await file(second.token, 'Meanwhile');
  const refreshed = await call(`${gateway}/v1/auth/refresh`, { body: { refresh_token: first.refreshToken } });
  expect(refreshed.status).toBe(200);
  expect(await titles(second.token)).toEqual(expect.arrayContaining(['Before', 'Meanwhile']));

  await running.stop();
  running = await startEverything(place);
  await file(second.token, 'After');
  expect(await titles(second.token)).toEqual(expect.arrayContaining(['Before', 'Meanwhile', 'After']));
}, 240_000);
