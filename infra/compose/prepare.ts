import { randomBytes } from 'node:crypto';
import { appendFileSync, chownSync, existsSync, globSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createFile } from '@countersign/service-kit';
import { parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { ensureAuthSecrets, ensureGatewayKey, ensureServiceKey } from '../local/secrets.ts';

// `npm run compose:prepare [DIRECTORY]`: creates what compose.yaml mounts: keys, secrets, and a gateway.yaml for its
// network. A second run creates only what is missing, and changes no file that exists.

const infra = resolve(import.meta.dirname, '..');
const directory = resolve(process.argv[2] ?? join(infra, 'secrets'));
/** The files that are mounted into the gateway's container. */
const gateway = join(directory, 'gateway');
/** If root runs this, the user of the images. Otherwise the containers run as the current user. */
const imageUser = 10_001;

/** A copy of infra/gateway.yaml that uses the container names of the processes. */
function gatewayConfig(): string {
  const document = parseDocument(readFileSync(join(infra, 'gateway.yaml'), 'utf8'));
  for (const [listener, port] of [
    ['public', 8080],
    ['admin', 9090],
    ['internal', 8090],
  ] as const)
    document.setIn(['listen', listener], `0.0.0.0:${port}`);
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: variables of gateway.yaml
  const publicUrl = '${PUBLIC_URL:-http://127.0.0.1:8080}';
  // The port is published only on this machine.
  const origins = [publicUrl, 'http://localhost:${GATEWAY_PORT:-8080}'];
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: variables of gateway.yaml
  document.setIn(['publicOrigins'], document.createNode(origins, { flow: true }));
  document.setIn(['issuers', 0, 'issuer'], publicUrl);
  // No other process can reach the containers' network.
  document.setIn(['insecureTransport'], true);
  document.setIn(['identity', 'keys'], './gateway-keys');
  document.setIn(['issuers', 0, 'jwks'], 'http://auth-service:8081/.well-known/jwks.json');
  document.setIn(['issuers', 0, 'revocations', 'url'], 'http://auth-service:8081/internal/revocations');
  for (const [name, port] of [
    ['auth-service', 8081],
    ['users-service', 8082],
    ['complaint-service', 8083],
    ['web', 8084],
  ] as const)
    document.setIn(['upstreams', name, 'targets'], [`http://${name}:${port}`]);
  for (const name of ['auth-service', 'complaint-service'])
    document.setIn(['services', name, 'keys'], `./service-keys/${name}.jwks.json`);
  // The example services are not among the containers.
  const absent = ['my-service', 'mcp-server'];
  for (const name of absent) document.deleteIn(['upstreams', name]);
  const routes = document.get('routes') as YAMLSeq<YAMLMap>;
  routes.items = routes.items.filter((route) => !absent.includes(String(route.get('upstream'))));
  return document.toString({ lineWidth: 0 });
}

/** Appends the variables that the file does not set. */
function completeEnv(file: string, variables: Readonly<Record<string, string>>): void {
  createFile(file, '', 0o600);
  const text = readFileSync(file, 'utf8');
  const isSet = (name: string) => new RegExp(`^\\s*(export\\s+)?${name}\\s*=`, 'm').test(text);
  const missing = Object.entries(variables).filter(([name]) => !isSet(name));
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  appendFileSync(file, end + missing.map(([name, value]) => `${name}=${value}\n`).join(''));
}

mkdirSync(gateway, { recursive: true, mode: 0o700 });
// The path that an earlier release used.
for (const name of ['gateway.yaml', 'gateway-keys'])
  if (existsSync(join(directory, name))) renameSync(join(directory, name), join(gateway, name));
ensureAuthSecrets(directory);
ensureGatewayKey(gateway);
mkdirSync(join(gateway, 'service-keys'), { recursive: true, mode: 0o700 });
for (const name of ['auth-service', 'complaint-service']) {
  ensureServiceKey(directory, name);
  const publicHalf = join('service-keys', `${name}.jwks.json`);
  createFile(join(gateway, publicHalf), readFileSync(join(directory, publicHalf), 'utf8'), 0o644);
}
const secret = (name: string, text: string) => createFile(join(directory, 'secrets', name), text, 0o600);
secret('complaint-webhook-key', `${randomBytes(32).toString('base64url')}\n`);
secret('postgres-password', randomBytes(24).toString('base64url'));
const password = readFileSync(join(directory, 'secrets', 'postgres-password'), 'utf8').trim();
secret('database-url', `postgres://postgres:${password}@postgres:5432/postgres\n`);
const file = join(gateway, 'gateway.yaml');
const isEdited = !createFile(file, gatewayConfig(), 0o600) && readFileSync(file, 'utf8') !== gatewayConfig();

const [user, group] = [process.getuid?.() ?? imageUser, process.getgid?.() ?? imageUser];
const isRoot = user === 0;
if (isRoot) {
  for (const entry of globSync('**', { cwd: directory })) chownSync(join(directory, entry), imageUser, imageUser);
  chownSync(directory, imageUser, imageUser);
}
const { PUBLIC_URL } = process.env;
completeEnv(join(dirname(directory), '.env'), {
  COUNTERSIGN_USER: isRoot ? `${imageUser}:${imageUser}` : `${user}:${group}`,
  ...(process.argv[2] !== undefined && { COUNTERSIGN_SECRETS: directory }),
  ...(PUBLIC_URL && { PUBLIC_URL }),
});
if (isEdited) process.stdout.write(`Not changed, although infra/gateway.yaml has changed since: ${file}\n`);
process.stdout.write(
  `Keys, secrets and gateway.yaml: ${directory}\nNext: docker compose -f infra/compose.yaml up --build --wait\n`,
);
