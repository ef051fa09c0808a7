import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually, freePorts } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Engine, startEngine } from '../compose/engine/engine.ts';
import { call } from '../e2e/client.ts';

// What docs/operations/kubernetes.md says under "Try it on this machine", with podman.

const repository = resolve(import.meta.dirname, '../..');
const place = mkdtempSync(join(tmpdir(), 'countersign-local-'));
const file = join(place, 'local.yaml');
let engine: Engine;
let gateway: string;

/** What kustomize builds, on ports that are free here. */
async function manifests(): Promise<string> {
  cpSync(import.meta.dirname, place, { recursive: true, filter: (path) => !/\/(node_modules|prepared)$/.test(path) });
  const prepare = ['--conditions=source', join(import.meta.dirname, 'prepare.ts'), join(place, 'stack/prepared')];
  execFileSync(process.execPath, prepare, { cwd: repository, stdio: ['ignore', 'ignore', 'inherit'] });
  const [port, admin] = await freePorts(2);
  gateway = `http://127.0.0.1:${port}`;
  return execFileSync('kustomize', ['build', join(place, 'local')], { encoding: 'utf8' })
    .replaceAll('http://127.0.0.1:8080', gateway)
    .replace('hostPort: 8080', `hostPort: ${port}`)
    .replace('hostPort: 9090', `hostPort: ${admin}`);
}

beforeAll(async () => {
  engine = await startEngine(repository);
  for (const name of ['gateway', 'auth-service', 'users-service', 'complaint-service', 'web']) {
    const build = ['build', '--quiet', '--format', 'docker', '-f', join(repository, 'infra/docker/Dockerfile')];
    engine.podman(...build, '--target', name, '-t', `countersign/${name}`, repository);
  }
  writeFileSync(file, await manifests());
  // Another podman here may use the subnet that podman would choose.
  engine.podman('network', 'create', '--subnet', '10.231.7.0/24', 'countersign');
  engine.podman('kube', 'play', '--network', 'countersign', file);
}, 1_200_000);

afterAll(async () => {
  // Podman 5.4 crashes when it removes all containers of several Pods at once.
  engine.podman('kube', 'down', '--force', file);
  await engine.stop();
  rmSync(place, { recursive: true });
}, 300_000);

test('podman plays the manifests: an invited administrator logs in, and only a token opens the API', async () => {
  const ada = { email: 'ada@acme.example', password: 'a walrus on the gramophone' };
  const logIn = (body: object) => call(`${gateway}/v1/auth/login`, { body });
  // Until the auth-service is ready, the gateway answers 502 or 503.
  await eventually(async () => expect((await logIn(ada)).body.code).toBe('invalid_credentials'), 120_000);

  const auth = 'auth-service-pod-auth-service';
  const operate = (...args: readonly string[]) =>
    engine.podman('exec', auth, 'node', 'auth-service/bin/countersign-auth.js', 'tenants', ...args);
  operate('create', 'acme', 'Acme Ltd');
  operate('invite', 'acme', ada.email);
  const invitation = /accept-invitation\?token=([\w-]+)/;
  await eventually(() => expect(engine.podman('logs', auth)).toMatch(invitation));
  const [, token] = invitation.exec(engine.podman('logs', auth)) ?? [];
  const accepted = await call(`${gateway}/v1/auth/invitations/accept`, { body: { token, password: ada.password } });
  expect(accepted.status).toBeLessThan(300);

  const login = await logIn(ada);
  expect(login.status).toBe(200);
  expect((await logIn({ ...ada, password: 'another password' })).status).toBe(401);
  const me = `${gateway}/v1/users/me`;
  expect((await call(me, { token: String(login.body.access_token) })).body).toMatchObject({ email: ada.email });
  expect((await call(me)).status).toBe(401);
  expect((await call(me, { token: 'not.a.token' })).status).toBe(401);
}, 300_000);

test('each process runs without privileges, and the gateway reads keys that root owns', () => {
  for (const name of ['gateway', 'auth-service', 'users-service', 'complaint-service', 'web']) {
    const inside = (script: string) => engine.podman('exec', `${name}-pod-${name}`, 'sh', '-c', script);
    expect(inside('id -u')).toBe('10001');
    expect(inside('touch /x 2> /dev/null || echo read-only')).toBe('read-only');
    expect(inside('grep CapEff /proc/self/status')).toMatch(/CapEff:\s+0+$/);
  }
  expect(engine.podman('exec', 'gateway-pod-gateway', 'sh', '-c', 'stat -Lc "%a %u" /etc/gateway-keys/*')).toMatch(
    /^(440 0\n?)+$/,
  );
});
