import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually, freePorts, mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { call } from '../../stacks/client.ts';
import { type Engine, startEngine } from '../compose/engine/engine.ts';
import { writeDecision } from './write-decision.ts';

// Follows "Try it on this machine" and "Beside a proxy" in docs/operations/kubernetes.md, with podman.

const repository = resolve(import.meta.dirname, '../../..');
const place = mkdtempSync(join(tmpdir(), 'countersign-local-'));
let engine: Engine;

/** Builds the manifests of a directory, with free ports. */
async function build(directory: string): Promise<Readonly<{ file: string; origin: string }>> {
  const [port, admin] = await freePorts(2);
  const origin = `http://127.0.0.1:${port}`;
  const file = join(place, `${directory}.yaml`);
  const options = ['build', '--load-restrictor', 'LoadRestrictionsNone', join(place, directory)];
  const text = execFileSync('kustomize', options, { encoding: 'utf8' })
    .replaceAll('http://127.0.0.1:8080', origin)
    .replace('hostPort: 8080', `hostPort: ${port}`)
    .replace('hostPort: 9090', `hostPort: ${admin}`);
  writeFileSync(file, text);
  return { file, origin };
}

const play = (file: string) => engine.podman('kube', 'play', '--network', 'countersign', file);
const inside = (container: string, script: string) => engine.podman('exec', container, 'sh', '-c', script);

beforeAll(async () => {
  const isOurs = (path: string) =>
    !/\/(node_modules|prepared|decision\/(gateway|countersign-|decision-secret).*)$/.test(path);
  cpSync(import.meta.dirname, place, { recursive: true, filter: isOurs });
  engine = await startEngine(repository);
  for (const name of ['gateway', 'auth-service', 'users-service', 'complaint-service', 'web']) {
    const build = ['build', '--quiet', '--format', 'docker', '-f', join(repository, 'infra/ship/docker/Dockerfile')];
    engine.podman(...build, '--target', name, '-t', `countersign/${name}`, repository);
  }
  // Another podman here may use the subnet that podman would choose.
  engine.podman('network', 'create', '--subnet', '10.231.7.0/24', 'countersign');
}, 1_200_000);

afterAll(async () => {
  await engine.stop();
  rmSync(place, { recursive: true });
}, 300_000);

describe('the stack on this machine', () => {
  let gateway: string;
  let file: string;

  beforeAll(async () => {
    const prepare = ['--conditions=source', join(import.meta.dirname, 'prepare.ts'), join(place, 'stack/prepared')];
    execFileSync(process.execPath, prepare, { cwd: repository, stdio: ['ignore', 'ignore', 'inherit'] });
    ({ file, origin: gateway } = await build('local'));
    play(file);
  }, 300_000);
  // Podman 5.4 crashes when it removes all containers of several Pods at once.
  afterAll(() => void engine.podman('kube', 'down', '--force', file), 300_000);

  test('podman runs the manifests: an invited administrator logs in, and the API requires a token', async () => {
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
    // The auth-service sends the profile to the users-service within seconds.
    await eventually(async () => {
      const { body } = await call(me, { token: String(login.body.access_token) });
      expect(body).toMatchObject({ email: ada.email });
    }, 60_000);
    expect((await call(me)).status).toBe(401);
    expect((await call(me, { token: 'not.a.token' })).status).toBe(401);
  }, 300_000);

  test('each process is unprivileged, and the gateway reads keys that root owns', () => {
    for (const name of ['gateway', 'auth-service', 'users-service', 'complaint-service', 'web']) {
      const container = `${name}-pod-${name}`;
      expect(inside(container, 'id -u')).toBe('10001');
      expect(inside(container, 'touch /x 2> /dev/null || echo read-only')).toBe('read-only');
      expect(inside(container, 'grep CapEff /proc/self/status')).toMatch(/CapEff:\s+0+$/);
    }
    expect(engine.podman('exec', 'gateway-pod-gateway', 'sh', '-c', 'stat -Lc "%a %u" /etc/gateway-keys/*')).toMatch(
      /^(440 0\n?)+$/,
    );
  });
});

// Verifies signatures, and prints each received request.
const orders = `
  import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
  import { requireIdentity, verifyIdentity } from '@countersign/identity/express';
  import express from 'express';
  const keys = gatewayKeys({ url: 'http://gateway:8090/.well-known/jwks.json', insecureTransport: true });
  keys.start();
  const timer = setInterval(() => { if (keys.ready) { console.log('has keys'); clearInterval(timer); } }, 50);
  const log = (req, res, next) => { console.log('arrived', req.url); next(); };
  const verify = verifyIdentity({ verifier: createVerifier({ audience: 'api', keys, replay: memoryReplay() }) });
  express().use(log, verify).get('/orders', requireIdentity(), (req, res) => res.json(req.identity)).listen(3000);`;

// The differences on this machine: names for Services, Secret files that belong to root's group, and a free port.
const decisionHere = (keys: readonly string[]) => ({
  apiVersion: 'kustomize.config.k8s.io/v1beta1',
  kind: 'Kustomization',
  resources: ['../decision'],
  configMapGenerator: [{ name: 'gateway', behavior: 'merge', files: ['../decision/issuer.jwks.json'] }],
  secretGenerator: [{ name: 'gateway-keys', files: keys, options: { disableNameSuffixHash: true } }],
  images: [{ name: 'docker.io/library/nginx', newName: 'localhost/nginx', newTag: 'debian' }],
  patches: [
    { target: { kind: 'Deployment', name: 'gateway' }, path: '../local/pod.yaml' },
    {
      target: { kind: 'Deployment', name: 'gateway' },
      patch: '[{ "op": "replace", "path": "/spec/template/spec/containers/0/name", "value": "gateway" }]',
    },
    {
      patch: stringify({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'proxy' },
        spec: {
          replicas: 1,
          template: {
            spec: {
              securityContext: { runAsGroup: 0 },
              containers: [{ name: 'proxy', ports: [{ containerPort: 8080, hostPort: 8080, hostIP: '127.0.0.1' }] }],
            },
          },
        },
      }),
    },
  ],
});

describe('nginx that asks the gateway', () => {
  let proxy: string;
  let file: string;
  let issuer: TestIssuer;

  beforeAll(async () => {
    issuer = await mintIssuer({ audience: 'api' });
    const decision = join(place, 'decision');
    writeFileSync(join(decision, 'issuer.jwks.json'), JSON.stringify(issuer.jwks));
    const trusted = `issuers: [{ issuer: "${issuer.issuer}", audience: api, jwks: ./issuer.jwks.json }]\n\n`;
    writeDecision(decision, 'http://orders:3000', (text) => text.replace(/^issuers:.*?(?=^identity)/ms, trusted));
    const keys = globSync('gateway-keys/*.jwk.json', { cwd: decision }).map((name) => `../decision/${name}`);
    mkdirSync(join(place, 'decision-here'));
    writeFileSync(join(place, 'decision-here/kustomization.yaml'), stringify(decisionHere(keys)));
    ({ file, origin: proxy } = await build('decision-here'));
    const program = ['--entrypoint', 'node', 'countersign/users-service', '--input-type=module', '-e', orders];
    engine.podman('run', '--detach', '--name', 'orders', '--network', 'countersign', ...program);
    play(file);
  }, 300_000);
  afterAll(() => void engine.podman('kube', 'down', '--force', file), 300_000);

  test('the service requires a token, and gets signed headers instead of forged ones', async () => {
    const arrived = () =>
      engine
        .podman('logs', 'orders')
        .split('\n')
        // The gateway asks for the service's keys.
        .filter((line) => line.startsWith('arrived') && !line.endsWith('/.well-known/jwks.json'));
    await eventually(async () => {
      const refused = await call(`${proxy}/orders`);
      expect([refused.status, refused.body.code]).toEqual([401, 'token_missing']);
    }, 120_000);
    expect((await call(`${proxy}/orders`, { token: 'not.a.token' })).body.code).toBe('token_malformed');
    expect(arrived()).toEqual([]);
    const token = await issuer.accessToken({ user_id: 'ada' });
    const spoofed = { 'x-user-id': 'the-boss', 'x-user-role': 'admin' };
    // The service started before the gateway, and answers 503 until its next fetch of the keys.
    const answer = await eventually(async () => {
      const one = await call(`${proxy}/orders`, { token, headers: spoofed });
      expect(one.status).not.toBe(503);
      return one;
    }, 60_000);
    expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('"ada"')]);
    expect(answer.text).not.toContain('the-boss');
    expect([...new Set(arrived())]).toEqual(['arrived /orders']);
  }, 180_000);

  test('nginx runs unprivileged', () => {
    const container = 'proxy-pod-proxy';
    expect(inside(container, 'id -u')).toBe('101');
    expect(inside(container, 'touch /x 2> /dev/null || echo read-only')).toBe('read-only');
    expect(inside(container, 'grep CapEff /proc/self/status')).toMatch(/CapEff:\s+0+$/);
  });
});
