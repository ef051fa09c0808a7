import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createFile, replaceFile, StartupError } from '@countersign/process-kit';
import { createKey, hasGatewayKeys, readAgreementKeys } from '../../gateway/src/keys/key-files.ts';

/** The auth-service's secret variables, and the files with their values on this machine. */
export type SecretFiles = Readonly<Record<`${string}_FILE`, string>>;

/** The files, and what happens if one that is in use is deleted. */
const authSecrets = {
  AUTH_SIGNING_KEK_FILE: ['auth-signing-kek', 'signing keys and second factors that are encrypted with it are lost'],
  AUTH_PASSWORD_PEPPERS_FILE: ['auth-password-peppers', 'every user has to reset their password'],
  AUTH_REFRESH_MAC_KEYS_FILE: ['auth-refresh-mac-keys', 'every user has to log in again'],
} as const;

/** The auth-service's format: comma-separated `id:base64url`. */
const keyRing = /^[A-Za-z0-9_-]{1,32}:[A-Za-z0-9_-]{43}(?:,[A-Za-z0-9_-]{1,32}:[A-Za-z0-9_-]{43})*$/;
const clientSecret = /^countersign_secret_[A-Za-z0-9_-]{43}$/;

/**
 * Creates this machine's secrets once. The same home directory always has the same secrets.
 *
 * @returns The variables that point the auth-service to the files.
 * @throws StartupError if a file is empty or broken, with what to do.
 */
export function ensureAuthSecrets(home: string): SecretFiles {
  const files = Object.entries(authSecrets).map(([variable, [name, cost]]) => [
    variable,
    ensureSecret(join(home, 'secrets', name), 'local:', keyRing, cost),
  ]);
  return Object.fromEntries(files);
}

/**
 * Creates the secret for all demo OAuth clients once, like {@link ensureAuthSecrets}.
 *
 * @returns The file with the secret.
 */
export const ensureDemoClientSecret = (home: string): string =>
  ensureSecret(
    demoClientSecretFile(home),
    'countersign_secret_',
    clientSecret,
    'programs that use the demo OAuth clients need the new secret',
  );

export const demoClientSecretFile = (home: string): string => join(home, 'secrets', 'demo-client-secret');

function ensureSecret(file: string, prefix: string, form: RegExp, cost: string): string {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (!existsSync(file)) createFile(file, `${prefix}${randomBytes(32).toString('base64url')}\n`, 0o600);
  if (form.test(readFileSync(file, 'utf8').trim())) return file;
  throw new StartupError(
    `${file}: is empty or broken. Restore it from a backup. Without a backup, delete it, and the next start creates a new one. If it was ever used, ${cost}`,
  );
}

/** Creates the gateway's first signing key and key-agreement key once. Later `countersign keys` manages the keys. */
export function ensureGatewayKey(home: string): void {
  const directory = join(home, 'gateway-keys');
  if (!hasGatewayKeys(directory)) createKey('ed25519', directory, 0);
  if (readAgreementKeys(directory).length === 0) createKey('x25519', directory, 0);
}

/**
 * Creates the key with which a service signs its requests to other services, once. Only that service reads the private
 * key. gateway.yaml names the public key, which is derived from it, under `services`.
 *
 * @throws StartupError if a file is empty or broken.
 */
export function ensureServiceKey(home: string, service: string): Readonly<{ privateFile: string }> {
  const directory = join(home, 'service-keys');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const privateFile = join(directory, `${service}.jwk.json`);
  const publicFile = join(directory, `${service}.jwks.json`);
  if (!existsSync(privateFile)) createFile(privateFile, newServiceKey(service), 0o600);
  const half = publicHalf(privateFile, publicFile);
  if (!existsSync(publicFile) || readFileSync(publicFile, 'utf8').trim() === '') replaceFile(publicFile, half, 0o644);
  return { privateFile };
}

function newServiceKey(service: string): string {
  const kid = `${service}-${randomBytes(6).toString('hex')}`;
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return JSON.stringify({ ...jwk, kid, alg: 'EdDSA', use: 'sig' });
}

/** Writes the public part of the stored key, because another process may have created that key meanwhile. */
function publicHalf(privateFile: string, publicFile: string): string {
  try {
    const jwk = JSON.parse(readFileSync(privateFile, 'utf8'));
    const { kid, alg, use } = jwk;
    const half = createPublicKey(createPrivateKey({ key: jwk, format: 'jwk' })).export({ format: 'jwk' });
    return JSON.stringify({ keys: [{ ...half, kid, alg, use }] });
  } catch (cause) {
    throw new StartupError(
      `${privateFile}: is empty or broken. Delete it and ${publicFile}, and the next start creates new ones`,
      { cause },
    );
  }
}
