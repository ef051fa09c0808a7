import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createFile, replaceFile } from '@countersign/service-kit';
import { parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { ensureAuthSecrets, ensureGatewayKey, ensureServiceKey } from '../local/secrets.ts';

// `npm run compose:prepare [DIRECTORY]`: creates what compose.yaml mounts: keys, secrets, and a gateway.yaml for its network. A second run
// keeps the keys and the secrets.

const infra = resolve(import.meta.dirname, '..');
const directory = resolve(process.argv[2] ?? join(infra, 'secrets'));
/** The user of the images, when root prepares; otherwise the containers run as the user who prepares. */
const imageUser = 10_001;

/** A copy of infra/gateway.yaml in which the processes are reached by the names of their containers. */
function gatewayConfig(): string {
  const document = parseDocument(readFileSync(join(infra, 'gateway.yaml'), 'utf8'));
  for (const [listener, port] of [
    ['public', 8080],
    ['admin', 9090],
    ['internal', 8090],
  ] as const)
    document.setIn(['listen', listener], `0.0.0.0:${port}`);
  // The containers share a network that no other process can reach.
  document.setIn(['insecureTransport'], true);
  document.setIn(['identity', 'keys'], '/etc/countersign/gateway-keys');
  document.setIn(['issuers', 0, 'jwks'], 'http://auth-service:8081/.well-known/jwks.json');
  document.setIn(['issuers', 0, 'revocations', 'url'], 'http://auth-service:8081/internal/revocations');
  for (const [name, port] of [
    ['auth-service', 8081],
    ['users-service', 8082],
    ['complaint-service', 8083],
  ] as const)
    document.setIn(['upstreams', name, 'targets'], [`http://${name}:${port}`]);
  for (const name of ['auth-service', 'complaint-service'])
    document.setIn(['services', name, 'keys'], `/etc/countersign/service-keys/${name}.jwks.json`);
  // The example services of `npm start` are not among the containers.
  for (const name of ['my-service', 'mcp-server']) document.deleteIn(['upstreams', name]);
  for (const [list, place] of [
    ['routes', ['path']],
    ['tests', ['request', 'path']],
  ] as const) {
    const entries = document.get(list) as YAMLSeq<YAMLMap>;
    entries.items = entries.items.filter((entry) => !['/hello', '/mcp'].includes(String(entry.getIn(place))));
  }
  return document.toString({ lineWidth: 0 });
}

mkdirSync(directory, { recursive: true, mode: 0o700 });
ensureAuthSecrets(directory);
ensureGatewayKey(directory);
for (const name of ['auth-service', 'complaint-service']) ensureServiceKey(directory, name);

const passwordFile = join(directory, 'secrets', 'postgres-password');
if (!existsSync(passwordFile)) createFile(passwordFile, randomBytes(24).toString('base64url'), 0o600);
const password = readFileSync(passwordFile, 'utf8').trim();
replaceFile(
  join(directory, 'secrets', 'database-url'),
  `postgres://postgres:${password}@postgres:5432/postgres\n`,
  0o600,
);
replaceFile(join(directory, 'gateway.yaml'), gatewayConfig(), 0o600);

const [user, group] = [process.getuid?.() ?? imageUser, process.getgid?.() ?? imageUser];
const isRoot = user === 0;
if (isRoot) {
  for (const entry of globSync('**', { cwd: directory })) chownSync(join(directory, entry), imageUser, imageUser);
  chownSync(directory, imageUser, imageUser);
}
const env = join(dirname(directory), '.env');
writeFileSync(
  env,
  `COUNTERSIGN_USER=${isRoot ? `${imageUser}:${imageUser}` : `${user}:${group}`}\nCOUNTERSIGN_SECRETS=${directory}\n`,
);
chmodSync(env, 0o644);
process.stdout.write(
  `Keys, secrets and gateway.yaml: ${directory}\nNext: docker compose -f infra/compose.yaml up --build --wait\n`,
);
