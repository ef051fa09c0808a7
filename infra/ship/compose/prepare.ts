import { appendFileSync, chownSync, existsSync, globSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createFile } from '@countersign/process-kit';
import { callers, containerGateway, ensureContainerSecrets } from '../container-files.ts';

// `npm run compose:prepare [DIRECTORY]`: creates what compose.yaml mounts: keys, secrets, and a gateway.yaml for its
// network. A second run creates only what is missing, and changes no file that exists.

const directory = resolve(process.argv[2] ?? join(import.meta.dirname, '../../secrets'));
/** The files that are mounted into the gateway's container. */
const gateway = join(directory, 'gateway');
/** If root runs this, the user of the images. Otherwise the containers run as the current user. */
const imageUser = 10_001;

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
ensureContainerSecrets(directory, gateway);
mkdirSync(join(gateway, 'service-keys'), { recursive: true, mode: 0o700 });
for (const name of callers) {
  const publicHalf = join('service-keys', `${name}.jwks.json`);
  createFile(join(gateway, publicHalf), readFileSync(join(directory, publicHalf), 'utf8'), 0o644);
}
const file = join(gateway, 'gateway.yaml');
const config = containerGateway().toString({ lineWidth: 0 });
const isEdited = !createFile(file, config, 0o600) && readFileSync(file, 'utf8') !== config;

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
