import { mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { newAgreementJwk } from '@countersign/identity';
import { createFile, replaceFile } from '@countersign/process-kit';
import { stringify } from 'yaml';
import { callers, containerGateway, ensureContainerSecrets } from '../container-files.ts';

// `npm run kubernetes:prepare [DIRECTORY]`: writes what infra/ship/kubernetes/stack needs: gateway.yaml, keys, secrets,
// and a kustomization that names them. DATABASE_URL and REDIS_URL name the cluster's servers. A second run creates
// only what is missing, and lists the keys again.

const directory = resolve(process.argv[2] ?? join(import.meta.dirname, 'stack/prepared'));
const { DATABASE_URL, REDIS_URL = 'redis://redis:6379' } = process.env;

/** The gateway.yaml of compose, with the names of Services, and with keys from a Secret. */
function gatewayConfig(): string {
  const document = containerGateway();
  document.setIn(['identity', 'keys'], '/etc/gateway-keys');
  document.setIn(['identity', 'keyFiles'], 'group');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of gateway.yaml
  const keySet = 'http://${AUTH_KEYS_HOST:-auth-service-keys}:8081/.well-known/jwks.json';
  document.setIn(['issuers', 0, 'jwks'], keySet);
  for (const name of callers) document.setIn(['services', name, 'keys'], `./${name}.jwks.json`);
  return document.toString({ lineWidth: 0 });
}

mkdirSync(directory, { recursive: true, mode: 0o700 });
const secret = ensureContainerSecrets(directory, directory, DATABASE_URL);
secret('redis-url', REDIS_URL);
// Instances of a service share its key for agreement with the gateway.
for (const name of ['auth-service', 'users-service', 'complaint-service'])
  secret(`${name}-agreement-key`, JSON.stringify(newAgreementJwk()));
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
