import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePorts } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { call } from '../../stacks/client.ts';
import { commandsOf, openShell, patternOf, type Shell } from '../../stacks/page-commands.ts';
import { type Engine, startEngine } from './engine/engine.ts';

// Follows the pages about containers, backups and upgrades in a clone, with docker-compose on podman.

const repository = resolve(import.meta.dirname, '../../..');
const photo = readFileSync(join(repository, 'docs/images/web-filing.png'));
const place = mkdtempSync(join(tmpdir(), 'countersign-compose-'));
// The backup is written next to it.
const clone = join(place, 'clone');
// The clone pulls new versions from here.
const origin = join(place, 'origin');
let engine: Engine;
let shell: Shell;
let gateway: string;
let admin: string;
let filed: Readonly<{ url: string; attachment: string }>;
let tokens: Readonly<{ access: string; refresh: string }>;

/** Runs a line that must succeed within ten minutes. */
async function succeed(command: string): Promise<string> {
  const output = await shell.run(`${command}; echo "exit code $?"`, 600_000);
  expect(output).toMatch(/exit code 0$/);
  return output.replace(/\n?exit code 0$/, '');
}

/** Runs the commands on a page or under a heading, optionally only those that match. */
async function follow(page: string, { heading = '', wanted = /^/ } = {}): Promise<void> {
  const whole = readFileSync(join(repository, 'docs/operations', page), 'utf8')
    // The admin listener answers only to the address in gateway.yaml.
    .replaceAll('curl -sf http://127.0.0.1:9090', `curl -sf --header host:127.0.0.1:9090 http://${admin}`)
    .replaceAll('127.0.0.1:8080', gateway.slice('http://'.length))
    .replaceAll('127.0.0.1:9090:', `${admin}:`);
  const text = heading === '' ? whole : (whole.split(/^(?=##)/m).find((part) => part.startsWith(heading)) ?? '');
  expect(commandsOf(text)).not.toHaveLength(0);
  for (const { command, output } of commandsOf(text).filter((one) => wanted.test(one.command))) {
    const printed = await succeed(command);
    if (output !== '') expect(printed).toMatch(patternOf(output));
  }
}

const git = (...args: readonly string[]) =>
  execFileSync('git', ['-C', origin, '-c', 'user.name=test', '-c', 'user.email=test@example.test', ...args]);

/** Replaces a text in a file of the origin, and commits it. */
function release(file: string, from: string, to: string): void {
  const text = readFileSync(join(origin, file), 'utf8');
  expect(text).toContain(from);
  writeFileSync(join(origin, file), text.replace(from, to));
  git('commit', '--quiet', '--all', '--message', `change ${file}`);
}

const titleOf = (container: string) =>
  engine.podman('inspect', '--format', '{{index .Config.Labels "org.opencontainers.image.title"}}', container);

/** Gets new tokens. The tests last longer than an access token. */
async function logIn(): Promise<void> {
  const ada = { email: 'ada@acme.example', password: 'a walrus on the gramophone' };
  const { body } = await call(`${gateway}/v1/auth/login`, { body: ada });
  tokens = { access: String(body.access_token), refresh: String(body.refresh_token) };
}

/** Reads the complaint and its photo as the complainant. */
async function readComplaint({ url, attachment }: typeof filed) {
  const { status, body } = await call(url, { token: tokens.access });
  const headers = { authorization: `Bearer ${tokens.access}` };
  const file = await fetch(`${url}/attachments/${attachment}`, { headers });
  const bytes = Buffer.from(await file.arrayBuffer()).toString('base64');
  return { statuses: [status, file.status], body, bytes };
}

/** The rows of every table, by database and table. */
async function allRows(): Promise<Record<string, string>> {
  const rows: Record<string, string> = {};
  for (const database of ['countersign_auth', 'countersign_users', 'countersign_complaints']) {
    const psql = `docker compose exec -T postgres psql -U postgres -d ${database} -tA`;
    const tables = await succeed(`${psql} -c "select tablename from pg_tables where schemaname = 'public'"`);
    for (const table of tables.split('\n'))
      rows[`${database} ${table}`] = await succeed(`${psql} -c 'select t from "${table}" t order by t::text'`);
  }
  return rows;
}

beforeAll(async () => {
  // The files that Git would clone, including uncommitted changes.
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: repository,
  });
  mkdirSync(origin);
  execFileSync('tar', ['-cf', join(place, 'files.tar'), '--null', '-T', '-'], { cwd: repository, input: files });
  execFileSync('tar', ['-xf', join(place, 'files.tar'), '-C', origin]);
  git('init', '--quiet', '--initial-branch', 'main');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'the first version');
  execFileSync('git', ['clone', '--quiet', origin, clone]);
  engine = await startEngine(clone);
  const [port, adminPort] = await freePorts(2);
  gateway = `http://127.0.0.1:${port}`;
  admin = `127.0.0.1:${adminPort}`;
  // One at a time, podman builds the stage that all images share once. BuildKit does so in any case.
  const own = { GATEWAY_PORT: String(port), GATEWAY_ADMIN_PORT: String(adminPort), COMPOSE_PARALLEL_LIMIT: '1' };
  shell = openShell(clone, { ...process.env, NODE_OPTIONS: '', ...engine.env, ...own });
}, 900_000);

afterAll(async () => {
  shell.close();
  await engine.stop();
  rmSync(place, { recursive: true });
}, 300_000);

test('the page starts the gateway alone, and with a service', async () => {
  await follow('containers.md', { heading: '## The gateway\n' });
  await follow('containers.md', { heading: '## The gateway and your service' });
  await succeed(`cd ${clone}`);
}, 900_000);

test('the page starts the stack, and a complaint with a photo survives the replacement of every container', async () => {
  await follow('containers.md', { heading: '## The demonstration' });
  await logIn();
  const token = tokens.access;
  const complaint = { title: 'The lamp is dark', description: 'Since Monday.', category: 'Lighting' };
  const { status, body } = await call(`${gateway}/v1/complaints`, { token, body: complaint });
  expect(status).toBe(201);
  const url = `${gateway}/v1/complaints/${body.id}`;
  const attached = await fetch(`${url}/attachments?name=lamp.png`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'image/png' },
    body: photo,
  });
  expect(attached.status).toBe(201);
  filed = { url, attachment: ((await attached.json()) as { id: string }).id };
  const before = await readComplaint(filed);
  expect(before).toMatchObject({ statuses: [200, 200], body: { title: complaint.title } });

  await succeed('docker compose restart');
  await succeed('docker compose up --wait');
  expect(await readComplaint(filed)).toEqual(before);
  await succeed('docker compose down');
  await succeed('docker compose up --wait');
  expect(await readComplaint(filed)).toEqual(before);
  expect((await call(`${gateway}/app/`)).text).toContain('<div id="root">');
}, 900_000);

test('every process runs as an unprivileged user with a read-only root', async () => {
  for (const name of ['gateway', 'auth-service', 'users-service', 'complaint-service', 'web']) {
    const inside = (program: string) => succeed(`docker compose exec -T ${name} node -e '${program}'`);
    expect(await inside('console.log(process.getuid())')).not.toBe('0');
    expect(await inside('try { require("fs").writeFileSync("/app/x", "") } catch (e) { console.log(e.code) }')).toBe(
      'EROFS',
    );
  }
}, 120_000);

test('a restore brings back every row, file and key, and tokens from before remain valid', async () => {
  await logIn();
  const before = await readComplaint(filed);
  await succeed('docker compose stop gateway');
  const rows = await allRows();
  await follow('backups.md', { wanted: /backup --/ });
  await succeed('docker compose down --volumes');
  await succeed('rm -rf infra/secrets infra/.env');
  await follow('backups.md', { wanted: /restore --/ });
  expect(await readComplaint(filed)).toEqual(before);
  // The auth-service adds its next key a minute after its first.
  const keys = 'countersign_auth signing_keys';
  expect(await allRows()).toEqual({ ...rows, [keys]: expect.stringContaining(rows[keys] ?? '') });
  const body = { refresh_token: tokens.refresh };
  expect((await call(`${gateway}/v1/auth/refresh`, { body })).status).toBe(200);
  expect(await shell.run('npm run --silent restore -- --compose ../countersign-backup 2>&1; echo $?', 300_000)).toMatch(
    /restore: data already exists\. .*--replace\n1$/s,
  );
}, 900_000);

test('an upgrade and a rollback keep everything, and a restore undoes a migration', async () => {
  await logIn();
  const file = async (title: string) => {
    const body = { title, description: 'Since Monday.', category: 'Lighting' };
    expect((await call(`${gateway}/v1/complaints`, { token: tokens.access, body })).status).toBe(201);
  };
  const before = await readComplaint(filed);
  const [earlier, later] = ['countersign users-service', 'countersign users-service 2'];
  release('infra/ship/docker/Dockerfile', `title="${earlier}"`, `title="${later}"`);
  await follow('upgrades.md', { heading: '### With compose' });
  expect(titleOf('countersign-users-service-1')).toBe(later);
  expect(await readComplaint(filed)).toEqual(before);
  await file('Filed with the later version');
  await follow('upgrades.md', { heading: '### Without a migration' });
  expect(titleOf('countersign-users-service-1')).toBe(earlier);
  expect(await readComplaint(filed)).toEqual(before);
  expect((await call(`${gateway}/v1/complaints`, { token: tokens.access })).text).toContain(
    'Filed with the later version',
  );

  await logIn();
  await succeed('git switch --quiet main && rm -r ../countersign-before');
  const migration = "{ name: '0002-added', statements: ['create table added_later (id int)'] },";
  release('users-service/src/store/schema.ts', '\n];', `\n  ${migration}\n];`);
  engine.buildShared(origin);
  await succeed('docker compose stop gateway');
  const rows = await allRows();
  await succeed('docker compose up --wait');
  await follow('upgrades.md', { heading: '### With compose' });
  expect(Object.keys(await allRows())).toContain('countersign_users added_later');
  expect(await readComplaint(filed)).toEqual(before);
  await follow('upgrades.md', { heading: '### After a migration' });
  expect(await readComplaint(filed)).toEqual(before);
  expect(await allRows()).toEqual(rows);
}, 1_800_000);
