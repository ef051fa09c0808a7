import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { loadConfig } from '../../gateway/src/config/load.ts';

const infra = resolve(import.meta.dirname, '..');
const place = mkdtempSync(join(tmpdir(), 'countersign-compose-'));
const directory = join(place, 'secrets');
const run = (command: string, ...args: string[]) => spawnSync(command, args, { cwd: infra, encoding: 'utf8' });
const prepare = () => run(process.execPath, '--conditions=source', 'compose/prepare.ts', directory);
const contents = () =>
  globSync('**/*', { cwd: directory, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));

beforeAll(() => expect(prepare().stderr).toBe(''));
afterAll(() => rmSync(place, { recursive: true }));

test('docker-compose accepts compose.yaml, and every file that it mounts exists', () => {
  const { status, stdout, stderr } = run(
    'docker-compose',
    '--env-file',
    join(place, '.env'),
    '-f',
    'compose.yaml',
    'config',
    '--format',
    'json',
  );
  expect([status, stderr]).toEqual([0, '']);
  const { services, secrets } = JSON.parse(stdout);
  const mounts = Object.values<{ volumes?: { type: string; source: string }[] }>(services)
    .flatMap(({ volumes = [] }) => volumes)
    .filter(({ type }) => type === 'bind')
    .map(({ source }) => source);
  const files = Object.values<{ file: string }>(secrets).map(({ file }) => file);
  for (const path of [...mounts, ...files]) expect(statSync(path).size).toBeGreaterThan(0);
  const own = ['gateway', 'auth-service', 'users-service', 'complaint-service'];
  for (const name of own) {
    expect(services[name]).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    expect(services[name].user).not.toMatch(/^0|^root/);
  }
  // Only the gateway is reachable, and only from this machine.
  for (const [name, { ports = [] }] of Object.entries<{ ports?: { host_ip: string }[] }>(services))
    expect([name, ports.map(({ host_ip }) => host_ip)]).toEqual([
      name,
      name === 'gateway' ? ['127.0.0.1', '127.0.0.1'] : [],
    ]);
});

test('the gateway starts with the configuration that is prepared', () => {
  const file = join(directory, 'gateway.yaml');
  const mounted = readFileSync(file, 'utf8').replaceAll('/etc/countersign', directory);
  expect(mounted).not.toContain('127.0.0.1:80');
  const config = loadConfig(file, {});
  expect([...config.upstreams.keys()]).toEqual(['auth-service', 'users-service', 'complaint-service']);
});

test('a second run keeps every key and secret; compose.yaml contains none', () => {
  const before = contents();
  expect(prepare().status).toBe(0);
  expect(contents()).toEqual(before);
  const compose = readFileSync(join(infra, 'compose.yaml'), 'utf8');
  for (const name of ['postgres-password', 'auth-signing-kek'])
    expect(compose).not.toContain(readFileSync(join(directory, 'secrets', name), 'utf8').trim());
});
