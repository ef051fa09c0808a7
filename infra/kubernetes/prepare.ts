import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { newAgreementJwk } from '@countersign/identity';
import { createFile, replaceFile } from '@countersign/service-kit';
import { parseDocument, stringify } from 'yaml';
import { ensureAuthSecrets, ensureGatewayKey, ensureServiceKey } from '../local/secrets.ts';

// `npm run kubernetes:prepare [DIRECTORY]`: writes what infra/kubernetes/stack needs: gateway.yaml, keys, secrets,
// and a kustomization that names them. DATABASE_URL and REDIS_URL name the cluster's servers. A second run creates
// only what is missing, and lists the keys again.

const directory = resolve(process.argv[2] ?? join(import.meta.dirname, 'stack/prepared'));
const { DATABASE_URL, REDIS_URL = 'redis://redis:6379' } = process.env;

/** The gateway.yaml of compose, with the names of Services, and with keys from a Secret. */
function gatewayConfig(): string {
  const place = mkdtempSync(join(tmpdir(), 'countersign-kubernetes-'));
  try {
    const script = join(import.meta.dirname, '../compose/prepare.ts');
    const composed = join(place, 'secrets');
    const { status, stderr } = spawnSync(process.execPath, ['--conditions=source', script, composed], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    const document = parseDocument(readFileSync(join(composed, 'gateway/gateway.yaml'), 'utf8'));
    document.setIn(['identity', 'keys'], '/etc/gateway-keys');
    document.setIn(['identity', 'keyFiles'], 'group');
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of gateway.yaml
    const keySet = 'http://${AUTH_KEYS_HOST:-auth-service-keys}:8081/.well-known/jwks.json';
    document.setIn(['issuers', 0, 'jwks'], keySet);
    for (const name of callers) document.setIn(['services', name, 'keys'], `./${name}.jwks.json`);
    return document.toString({ lineWidth: 0 });
  } finally {
    rmSync(place, { recursive: true });
  }
}

const callers = ['auth-service', 'complaint-service'] as const;
const services = ['auth-service', 'users-service', 'complaint-service'] as const;

mkdirSync(directory, { recursive: true, mode: 0o700 });
ensureAuthSecrets(directory);
ensureGatewayKey(directory);
for (const name of callers) ensureServiceKey(directory, name);

const secret = (name: string, text: string) => createFile(join(directory, 'secrets', name), text, 0o600);
secret('complaint-webhook-key', `${randomBytes(32).toString('base64url')}\n`);
secret('postgres-password', randomBytes(24).toString('base64url'));
const password = readFileSync(join(directory, 'secrets/postgres-password'), 'utf8').trim();
secret('database-url', DATABASE_URL ?? `postgres://postgres:${password}@postgres:5432/postgres`);
secret('redis-url', REDIS_URL);
// Instances of a service share its key for agreement with the gateway.
for (const name of services) secret(`${name}-agreement-key`, JSON.stringify(newAgreementJwk()));
createFile(join(directory, 'gateway.yaml'), gatewayConfig(), 0o644);

const common = (name: string) => [
  'database-url=secrets/database-url',
  'redis-url=secrets/redis-url',
  `agreement-key=secrets/${name}-agreement-key`,
];
const serviceKey = (name: string) => `service-key=service-keys/${name}.jwk.json`;
const kustomization = {
  apiVersion: 'kustomize.config.k8s.io/v1beta1',
  kind: 'Kustomization',
  // Running gateways reload a changed ConfigMap and Secret. A different name would restart them.
  generatorOptions: { disableNameSuffixHash: true },
  configMapGenerator: [
    { name: 'gateway', files: ['gateway.yaml', ...callers.map((name) => `service-keys/${name}.jwks.json`)] },
  ],
  secretGenerator: [
    {
      name: 'gateway-keys',
      files: readdirSync(join(directory, 'gateway-keys')).map((name) => `gateway-keys/${name}`),
    },
    { name: 'gateway', files: ['redis-url=secrets/redis-url'] },
    {
      name: 'auth-service',
      files: [
        ...common('auth-service'),
        serviceKey('auth-service'),
        'signing-kek=secrets/auth-signing-kek',
        'password-peppers=secrets/auth-password-peppers',
        'refresh-mac-keys=secrets/auth-refresh-mac-keys',
      ],
    },
    { name: 'users-service', files: common('users-service') },
    {
      name: 'complaint-service',
      files: [
        ...common('complaint-service'),
        serviceKey('complaint-service'),
        'webhook-key=secrets/complaint-webhook-key',
      ],
    },
    { name: 'postgres', files: ['password=secrets/postgres-password'] },
  ],
};
replaceFile(join(directory, 'kustomization.yaml'), stringify(kustomization), 0o644);
process.stdout.write(`gateway.yaml, keys and secrets: ${directory}\nNext: docs/operations/kubernetes.md\n`);
