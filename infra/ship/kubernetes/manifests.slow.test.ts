import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { installTools } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../../../gateway/src/config/load.ts';
import { readRules } from '../prometheus/rules.ts';
import { admits, type Labels } from './network-policy.ts';
import { writeDecision } from './write-decision.ts';

const repository = resolve(import.meta.dirname, '../../..');
const place = mkdtempSync(join(tmpdir(), 'countersign-manifests-'));
const overlays = ['gateway-alone', 'decision', 'stack', 'local'] as const;

function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: repository,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}:\n${stdout}${stderr}`);
  return stdout;
}

const node = (...args: readonly string[]) => run(process.execPath, '--conditions=source', ...args);
const build = (overlay: string) => run('kustomize', 'build', join(place, overlay));
const check = (file: string) => node('infra/ship/kubernetes/check-manifests.ts', file);

type Container = Readonly<{
  name: string;
  env?: readonly { name: string; value?: string }[];
  ports: readonly { name: string; containerPort: number }[];
  resources: { requests: object; limits: object };
  securityContext: object;
}> &
  Readonly<Record<'startupProbe' | 'readinessProbe' | 'livenessProbe', object>>;
type Manifest = Readonly<{
  apiVersion: string;
  kind: string;
  metadata: Readonly<{ name: string }>;
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own
  spec: any;
  data?: Readonly<Record<string, string>>;
}>;

let built: ReadonlyMap<string, readonly Manifest[]>;
/** Without the components for types that not every cluster has. */
let plain: typeof built;
const find = (overlay: string, kind: string, name: string) =>
  built.get(overlay)?.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
/** Containers that run this repository's images. */
const processes = (overlay: string) =>
  (built.get(overlay) ?? []).filter(
    ({ kind, spec }) => kind === 'Deployment' && spec.template.spec.containers[0].image.startsWith('countersign/'),
  );

beforeAll(() => {
  installTools(import.meta.dirname);
  cpSync(import.meta.dirname, place, {
    recursive: true,
    filter: (path) =>
      !/\/(node_modules|prepared|gateway-alone\/gateway.*|decision\/(gateway|countersign-|decision-secret).*)$/.test(
        path,
      ),
  });
  // The commands on the page, with their output.
  const init = ['gateway/src/main.ts', 'init', '--in-cluster', '--provider', 'keycloak'];
  const from = ['--issuer', 'https://sso.example.com/realms/acme', '--upstream', 'http://orders.default.svc:8080'];
  node(...init, ...from, '--dir', join(place, 'gateway-alone'));
  writeDecision(join(place, 'decision'), 'http://orders.default.svc:8080');
  node('infra/ship/kubernetes/prepare.ts', join(place, 'stack/prepared'));
  const documents = (text: string) => parseAllDocuments(text).map((document) => document.toJS() as Manifest);
  const buildAll = () => new Map(overlays.map((overlay) => [overlay, documents(build(overlay))]));
  plain = buildAll();
  for (const overlay of ['gateway-alone', 'decision', 'stack'])
    appendFileSync(join(place, overlay, 'kustomization.yaml'), 'components: [../monitoring, ../public-route]\n');
  built = buildAll();
}, 120_000);
afterAll(() => rmSync(place, { recursive: true }));

test.each(overlays)('%s is valid for Kubernetes 1.36, the Gateway API and the Prometheus operator', (overlay) => {
  const file = join(place, `${overlay}.yaml`);
  writeFileSync(file, build(overlay));
  expect(check(file)).toMatch(/^\d+ manifests are valid$/m);
});

test.each(overlays)('%s needs no type that a cluster lacks without an operator', (overlay) => {
  const groups = plain.get(overlay)?.map(({ apiVersion }) => apiVersion.replace(/\/?v\d+$/, ''));
  expect(new Set(groups)).toEqual(new Set(['', 'apps', 'policy', 'autoscaling', 'networking.k8s.io']));
});

test('the check detects an unknown field and a wrong value', () => {
  const file = join(place, 'wrong.yaml');
  const text = build('stack');
  writeFileSync(file, text.replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem'));
  expect(() => check(file)).toThrow('\'"readOnlyRootFileSystem"\' does not exist');
  writeFileSync(file, text.replace('port: 8080', 'port: web'));
  expect(() => check(file)).toThrow('data/spec/ports/0/port must be integer');
});

describe.each(['gateway-alone', 'decision', 'stack'])('%s', (overlay) => {
  test('each process has probes and resources, and no privileges', () => {
    expect(processes(overlay).length).toBeGreaterThan(0);
    for (const { spec } of processes(overlay)) {
      const pod = spec.template.spec;
      const [container] = pod.containers as readonly [Container];
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, runAsUser: 10_001, seccompProfile: { type: 'RuntimeDefault' } },
      });
      expect(pod.topologySpreadConstraints).toHaveLength(2);
      expect(container).toMatchObject({
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        resources: { requests: { cpu: expect.any(String) }, limits: { memory: expect.any(String) } },
        startupProbe: { httpGet: { path: '/healthz' } },
        readinessProbe: { httpGet: { path: '/readyz' } },
        livenessProbe: { httpGet: { path: '/healthz' } },
      });
    }
  });

  test('the grace period of a Pod covers endpoint removal and the current requests of each listener', () => {
    for (const { spec } of processes(overlay)) {
      const pod = spec.template.spec;
      const [container] = pod.containers as readonly [Container];
      const ms = (variable: string) => Number(container.env?.find(({ name }) => name === variable)?.value);
      expect(ms('DRAIN_DELAY_MS')).toBe(10_000);
      const { periodSeconds, failureThreshold } = pod.containers[0].readinessProbe;
      expect(ms('DRAIN_DELAY_MS')).toBeGreaterThan(2 * periodSeconds * failureThreshold * 1000);
      expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(
        ms('DRAIN_DELAY_MS') + 3 * ms('SHUTDOWN_GRACE_MS'),
      );
    }
  });

  test('the gateway scales, keeps enough Pods in a disruption, and reads its keys as a group', () => {
    expect(find(overlay, 'HorizontalPodAutoscaler', 'gateway')?.spec).toMatchObject({ minReplicas: 3 });
    expect(find(overlay, 'PodDisruptionBudget', 'gateway')?.spec).toMatchObject({
      maxUnavailable: 1,
      selector: { matchLabels: { 'app.kubernetes.io/name': 'gateway' } },
    });
    expect(find(overlay, 'ServiceMonitor', 'gateway')).toBeDefined();
    expect(find(overlay, 'PrometheusRule', 'countersign')?.spec).toEqual(readRules());
    const backend = { name: overlay === 'decision' ? 'proxy' : 'gateway', port: 8080 };
    expect(find(overlay, 'HTTPRoute', 'gateway')?.spec).toMatchObject({ rules: [{ backendRefs: [backend] }] });
    expect(find(overlay, 'Deployment', 'gateway')?.spec.template.spec.volumes).toContainEqual({
      name: 'keys',
      secret: { secretName: 'gateway-keys', defaultMode: 0o440 },
    });
  });

  test('only named Pods can reach each port of the gateway, except the public one', () => {
    const policies = (built.get(overlay) ?? []).filter(
      ({ kind, spec }) =>
        kind === 'NetworkPolicy' && spec.podSelector.matchLabels?.['app.kubernetes.io/name'] === 'gateway',
    );
    const open = policies.flatMap(({ spec }) => spec.ingress).filter(({ from }) => from === undefined);
    expect(open.flatMap(({ ports }) => ports)).toEqual(overlay === 'decision' ? [] : [{ port: 'public' }]);
    const admitted = policies.flatMap(({ spec }) => spec.ingress).flatMap(({ ports }) => ports);
    const ports = find(overlay, 'Deployment', 'gateway')?.spec.template.spec.containers[0].ports;
    expect(admitted.map(({ port }) => port).sort()).toEqual(ports.map(({ name }: { name: string }) => name).sort());
  });

  test('a service’s label opens only the internal port, and a proxy’s label only the decision port', () => {
    const policies = (built.get(overlay) ?? []).filter(({ kind }) => kind === 'NetworkPolicy').map(({ spec }) => spec);
    const to: Labels = find(overlay, 'Deployment', 'gateway')?.spec.template.metadata.labels;
    const opened = (role: string) =>
      ['internal', 'admin', 'decision'].filter((port) =>
        admits(policies, { from: { 'countersign-role': role }, to, port }),
      );
    expect(['service', 'proxy', 'other'].map(opened)).toEqual([
      ['internal'],
      overlay === 'decision' ? ['decision'] : [],
      [],
    ]);
  });

  test('`check` accepts the gateway.yaml in the ConfigMap', () => {
    const directory = mkdtempSync(join(place, 'config-'));
    for (const [name, text] of Object.entries(find(overlay, 'ConfigMap', 'gateway')?.data ?? {}))
      appendFileSync(join(directory, name), text);
    const config = loadConfig(join(directory, 'gateway.yaml'), {
      DECISION_SECRET: 'only-for-this-test-0123456789abcdef',
      NODE_ENV: 'production',
    });
    expect(config.identity).toMatchObject({ keysDir: '/etc/gateway-keys', keyFiles: 'group' });
    const listeners = Object.values(config.listen).map((listener) => (listener as { port: number }).port);
    const ports = find(overlay, 'Deployment', 'gateway')?.spec.template.spec.containers[0].ports;
    expect(listeners.sort()).toEqual(
      ports.map(({ containerPort }: Container['ports'][number]) => containerPort).sort(),
    );
    // A service with an agreed key shares one key between all its Pods.
    for (const { name, identity } of config.upstreams.values()) {
      const deployment = find(overlay, 'Deployment', name);
      // Without the services, only the gateway's own files are there.
      if (identity.algorithm !== 'agreed' || deployment === undefined) continue;
      expect(deployment.spec.template.spec.containers[0].env).toContainEqual({
        name: 'AGREEMENT_KEY_FILE',
        value: '/etc/secrets/agreement-key',
      });
      expect(find(overlay, 'Secret', name)?.data).toHaveProperty('agreement-key');
    }
  });
});

test('the proxy runs the printed files unprivileged, and asks the gateway by its Service name', () => {
  const pod = find('decision', 'Deployment', 'proxy')?.spec.template.spec;
  expect(pod).toMatchObject({
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 101, seccompProfile: { type: 'RuntimeDefault' } },
  });
  expect(pod.containers[0]).toMatchObject({
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    resources: { limits: { memory: expect.any(String) } },
    readinessProbe: { tcpSocket: { port: 'http' } },
    livenessProbe: { tcpSocket: { port: 'http' } },
  });
  const [{ secret }] = pod.volumes;
  const files = find('decision', 'Secret', secret.secretName)?.data ?? {};
  const text = Buffer.from(files['countersign-http.conf'] ?? '', 'base64').toString();
  const service = find('decision', 'Service', 'gateway')?.spec;
  expect(service.ports.map(({ port }: { port: number }) => port).sort()).toEqual([8080, 8091]);
  expect(text).toMatch(/server gateway:8091;.*server gateway:8080;.*server orders\.default\.svc:8080;/s);
});

test('only key sets are reachable before their Pods are ready', () => {
  const early = (built.get('stack') ?? []).filter(({ spec }) => spec?.publishNotReadyAddresses === true);
  expect(early.map(({ metadata }) => metadata.name).sort()).toEqual([
    'auth-service-keys',
    'gateway-admin',
    'gateway-keys',
  ]);
  const literals = (built.get('stack') ?? []).find(({ metadata }) => /^services-/.test(metadata.name))?.data;
  expect(literals?.GATEWAY_KEYS_URL).toBe('http://gateway-keys:8090/.well-known/jwks.json');
});

test('a second preparation keeps every key and secret, and lists added keys', () => {
  const directory = join(place, 'stack/prepared');
  const before = build('stack');
  node('infra/ship/kubernetes/prepare.ts', directory);
  expect(build('stack')).toBe(before);
  node('gateway/src/main.ts', 'keys', 'rotate', '--dir', join(directory, 'gateway-keys'));
  node('infra/ship/kubernetes/prepare.ts', directory);
  const secret = parseAllDocuments(build('stack')).find(
    (document) => document.getIn(['metadata', 'name']) === 'gateway-keys',
  );
  expect(Object.keys((secret?.toJS() as Manifest | undefined)?.data ?? {})).toHaveLength(4);
});

/** Adds a component to a directory, and returns what is then built, which is valid. */
function validWith(component: string, overlay: string): readonly Manifest[] {
  const kustomization = join(place, overlay, 'kustomization.yaml');
  const changed = readFileSync(kustomization, 'utf8').replace('[../monitoring', `[../${component}, ../monitoring`);
  writeFileSync(kustomization, changed);
  const text = build(overlay);
  const file = join(place, `${component}.yaml`);
  writeFileSync(file, text);
  expect(check(file)).toMatch(/^\d+ manifests are valid$/m);
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

test('with restricted egress, each part reaches only what its configuration names', () => {
  const manifests = validWith('egress', 'stack');
  const specs = (kind: string) => manifests.filter((one) => one.kind === kind).map(({ spec }) => spec);
  const policies = specs('NetworkPolicy');
  const labelsOf = (name: string): Labels =>
    manifests.find((one) => one.kind === 'Deployment' && one.metadata.name === name)?.spec.template.metadata.labels;
  const reaches = (from: string, { hostname, port }: URL) => {
    const service = manifests.find((one) => one.kind === 'Service' && one.metadata.name === hostname)?.spec;
    const [{ targetPort }] = service.ports.filter((one: { port: number }) => one.port === Number(port));
    const to = labelsOf(service.selector['app.kubernetes.io/name']);
    return admits(policies, { from: labelsOf(from), to, port: targetPort });
  };
  const config = find('stack', 'ConfigMap', 'gateway')?.data?.['gateway.yaml'] ?? '';
  const named = [...config.replaceAll(/\$\{\w+:-([\w-]+)\}/g, '$1').matchAll(/http:\/\/[a-z-]+:808\d[^"\s]*/g)];
  expect(named.length).toBeGreaterThan(5);
  for (const [url] of named.filter(([one]) => !one.includes('localhost')))
    expect([url, reaches('gateway', new URL(url))]).toEqual([url, true]);
  const shared = manifests.find(({ metadata }) => /^services-/.test(metadata.name))?.data ?? {};
  for (const name of ['auth-service', 'users-service', 'complaint-service']) {
    for (const variable of ['GATEWAY_KEYS_URL', 'GATEWAY_INTERNAL_URL'])
      expect(reaches(name, new URL(shared[variable] ?? ''))).toBe(true);
    expect(reaches(name, new URL('http://gateway:8080'))).toBe(false);
    expect(reaches(name, new URL('http://web:8084'))).toBe(false);
    expect(admits(policies, { from: labelsOf(name), to: {}, port: 5432 })).toBe(true);
    expect(admits(policies, { from: labelsOf(name), to: {}, port: 80 })).toBe(false);
  }
  expect(reaches('web', new URL('http://auth-service:8081'))).toBe(false);
  expect(reaches('users-service', new URL('http://complaint-service:8083'))).toBe(false);
  expect(admits(policies, { from: labelsOf('web'), to: {}, port: 5432 })).toBe(false);
});

test('with the policies for own services, these connect only to the gateway, and only it connects to them', () => {
  const manifests = validWith('own-services', 'gateway-alone');
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy').map(({ spec }) => spec);
  const gateway = find('gateway-alone', 'Deployment', 'gateway')?.spec.template.metadata.labels as Labels;
  const service = { app: 'orders', 'countersign-role': 'service' };
  const pods = { gateway, service, other: { app: 'batch' }, outside: {} };
  const open = Object.entries(pods).flatMap(([from, labels]) =>
    Object.entries(pods).flatMap(([to, peer]) =>
      ['internal', 'admin', 8080, 443, 5432]
        .filter((port) => from !== to && admits(policies, { from: labels, to: peer, port }))
        .map((port) => `${from} to ${to} at ${port}`),
    ),
  );
  const ports = ['internal', 'admin', 8080, 443, 5432];
  expect(open.filter((one) => !/^(other|outside) to (other|outside)/.test(one))).toEqual([
    ...ports.map((port) => `gateway to service at ${port}`),
    'gateway to other at 443',
    'gateway to outside at 443',
    'service to gateway at internal',
  ]);
});
