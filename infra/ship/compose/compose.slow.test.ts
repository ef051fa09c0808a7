import { spawnSync } from 'node:child_process';
import { appendFileSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { authVariables } from '../../../auth-service/src/config.ts';
import { complaintsVariables } from '../../../complaint-service/src/config.ts';
import { loadConfig } from '../../../gateway/src/config/load.ts';
import { usersVariables } from '../../../users-service/src/config.ts';

const infra = resolve(import.meta.dirname, '../..');
const place = mkdtempSync(join(tmpdir(), 'countersign-compose-'));
const directory = join(place, 'secrets');
const gatewayFile = join(directory, 'gateway/gateway.yaml');
const run = (command: string, args: readonly string[], env = {}) =>
  spawnSync(command, args, { cwd: infra, encoding: 'utf8', env: { ...process.env, ...env } });
const prepare = () => run(process.execPath, ['--conditions=source', 'ship/compose/prepare.ts', directory]);
const contents = () =>
  globSync('**/*', { cwd: directory, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));

const compose = (variables: Readonly<Record<string, string>> = {}) => {
  const args = ['--env-file', join(place, '.env'), '-f', 'compose.yaml', 'config', '--format', 'json'];
  const { status, stdout, stderr } = run('docker-compose', args, variables);
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
};

beforeAll(() => expect(prepare().stderr).toBe(''));
afterAll(() => rmSync(place, { recursive: true }));

test('docker-compose accepts compose.yaml, and every mounted file exists', () => {
  const { services, secrets } = compose();
  const mounts = Object.values<{ volumes?: { type: string; source: string }[] }>(services)
    .flatMap(({ volumes = [] }) => volumes)
    .filter(({ type }) => type === 'bind')
    .map(({ source }) => source);
  const files = Object.values<{ file: string }>(secrets).map(({ file }) => file);
  for (const path of [...mounts, ...files]) expect(statSync(path).size).toBeGreaterThan(0);
  const own = ['gateway', 'auth-service', 'users-service', 'complaint-service', 'web'];
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

test('attachments, email files and databases are in volumes, and the webhook key is a secret', () => {
  const { services, volumes } = compose();
  const kept: [name: string, target: string][] = [
    ['postgres', '/var/lib/postgresql/data'],
    ['auth-service', '/var/lib/countersign'],
    ['complaint-service', '/var/lib/countersign'],
  ];
  for (const [name, target] of kept) {
    const [volume] = services[name].volumes;
    expect([name, volume.type, volume.target]).toEqual([name, 'volume', target]);
    expect(volumes).toHaveProperty([volume.source]);
    expect(services[name].tmpfs ?? []).not.toContainEqual(expect.stringContaining(target));
  }
  expect(services['complaint-service']).toMatchObject({
    environment: { COMPLAINTS_WEBHOOK_KEY_FILE: '/run/secrets/complaint-webhook-key' },
    secrets: expect.arrayContaining([expect.objectContaining({ source: 'complaint-webhook-key' })]),
  });
});

test('the gateway container mounts the directory of gateway.yaml, so that it notices a file renamed over it', () => {
  const [mount] = compose().services.gateway.volumes;
  expect(mount).toMatchObject({ source: join(directory, 'gateway'), target: '/etc/countersign', read_only: true });
  expect(globSync('**', { cwd: mount.source }).filter((path) => /secret|auth-service\.jwk\.json/.test(path))).toEqual(
    [],
  );
});

test('PUBLIC_URL sets the issuer, the origin and the base of links, which are local by default', () => {
  const url = 'https://api.example.test';
  const read = (variables: Readonly<Record<string, string>>) => {
    const { services } = compose(variables);
    const auth = services['auth-service'].environment;
    const config = loadConfig(gatewayFile, services.gateway.environment);
    return {
      issuers: [auth.AUTH_ISSUER, ...config.issuers.map(({ issuer }) => issuer)],
      origins: [...config.publicOrigins],
      // Not set, so the auth-service uses its issuer for links and as the browser origin.
      own: [auth.AUTH_LINK_BASE_URL, auth.AUTH_BROWSER_ORIGINS],
      links: [services['complaint-service'].environment.COMPLAINTS_LINK_BASE_URL],
    };
  };
  expect(read({ PUBLIC_URL: url })).toEqual({
    issuers: [url, url],
    origins: [url, 'http://localhost:8080'],
    own: [null, null],
    links: [`${url}/app/complaints`],
  });
  const local = 'http://127.0.0.1:8080';
  expect(read({})).toEqual({
    issuers: [local, local],
    origins: [local, 'http://localhost:8080'],
    own: [null, null],
    links: [`${local}/app/complaints`],
  });
  expect(read({ GATEWAY_PORT: '18080' })).toMatchObject({
    issuers: ['http://127.0.0.1:18080', 'http://127.0.0.1:18080'],
    origins: ['http://127.0.0.1:18080', 'http://localhost:18080'],
  });
});

// Set by compose.yaml and the images: addresses inside the network, and paths inside the containers.
const decided = [
  ...['HOST', 'AUTH_PORT', 'USERS_PORT', 'COMPLAINTS_PORT', 'GATEWAY_INTERNAL_PORT', 'COUNTERSIGN_HOME'],
  ...['AUTH_API_DOCUMENT', 'SEED_FILE', 'SEED_CLIENT_SECRET', 'AUTH_ISSUER'],
];

test.each([
  ['auth-service', 'AUTH_', authVariables],
  ['users-service', 'USERS_', usersVariables],
  ['complaint-service', 'COMPLAINTS_', complaintsVariables],
] as const)('every variable of the %s can be set, or is a secret in a file', (service, prefix, names) => {
  const given = names.flatMap((name) => [
    [name, `set-${name}`],
    [`${prefix}${name}`, `set-${name}`],
  ]);
  const variables = { ...Object.fromEntries(given), GATEWAY_PORT: '18080' };
  const { environment } = compose(variables).services[service];
  const isSet = (name: string) =>
    environment[name] === `set-${name}` || `${name}_FILE` in environment || environment[name] === '18080';
  expect(names.filter((name) => !decided.includes(name) && !isSet(name))).toEqual([]);
});

test('the gateway starts with the prepared configuration', () => {
  expect(readFileSync(gatewayFile, 'utf8')).not.toContain('127.0.0.1:8081');
  const config = loadConfig(gatewayFile, {});
  expect([...config.upstreams.keys()]).toEqual(['auth-service', 'users-service', 'complaint-service', 'web']);
  // The demonstration of `npm start`.
  expect(config.routes.filter(({ path }) => path.startsWith('/demo'))).toEqual([]);
  expect(JSON.stringify(compose({}))).not.toContain('WEB_DEMO');
});

test('a second run keeps edited files, keys and secrets, and compose.yaml contains none of them', () => {
  const env = join(place, '.env');
  writeFileSync(env, `AUTH_SMTP_URL=smtp://mail.example.test\nCOUNTERSIGN_USER=1000:1000`);
  appendFileSync(gatewayFile, '# ours\n');
  writeFileSync(join(directory, 'secrets/database-url'), 'postgres://ours@db.example.test/postgres');
  const before = contents();
  const { status, stdout } = prepare();
  expect(status).toBe(0);
  expect(contents()).toEqual(before);
  expect(stdout).toContain(`Not changed, although infra/gateway.yaml has changed since: ${gatewayFile}\n`);
  expect(readFileSync(env, 'utf8')).toBe(
    `AUTH_SMTP_URL=smtp://mail.example.test\nCOUNTERSIGN_USER=1000:1000\nCOUNTERSIGN_SECRETS=${directory}\n`,
  );
  const file = readFileSync(join(infra, 'compose.yaml'), 'utf8');
  for (const name of ['postgres-password', 'auth-signing-kek', 'complaint-webhook-key'])
    expect(file).not.toContain(readFileSync(join(directory, 'secrets', name), 'utf8').trim());
});
