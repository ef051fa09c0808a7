import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';
import { createGatewayKey } from '../../gateway/src/keys/gateway-keys.ts';

/** The variables of the auth-service that hold secrets, and the files that this machine keeps them in. */
export type SecretFiles = Readonly<Record<`${string}_FILE`, string>>;

const authSecrets = {
  AUTH_SIGNING_KEK_FILE: 'auth-signing-kek',
  AUTH_PASSWORD_PEPPERS_FILE: 'auth-password-peppers',
  AUTH_REFRESH_MAC_KEYS_FILE: 'auth-refresh-mac-keys',
} as const;

/**
 * Makes the secrets of this machine, once: the same home always gives the same ones.
 *
 * @returns The variables that tell the auth-service where they are.
 */
export function ensureAuthSecrets(home: string): SecretFiles {
  const directory = join(home, 'secrets');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = Object.entries(authSecrets).map(([variable, name]): [string, string] => {
    const file = join(directory, name);
    if (!existsSync(file)) writeFileSync(file, `local:${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
    return [variable, file];
  });
  return Object.fromEntries(files);
}

/** Makes the gateway's first signing key, once; `countersign keys` looks after it from then on. */
export function ensureGatewayKey(home: string): void {
  const directory = join(home, 'gateway-keys');
  if (!existsSync(directory) || readdirSync(directory).length === 0) createGatewayKey(directory, 0);
}

/**
 * Makes the key with which a service signs its calls to other services, once. The private half is for that service alone,
 * the public half is what gateway.yaml names under `services`.
 */
export async function ensureServiceKey(home: string, service: string): Promise<Readonly<{ privateFile: string }>> {
  const directory = join(home, 'service-keys');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const privateFile = join(directory, `${service}.jwk.json`);
  const publicFile = join(directory, `${service}.jwks.json`);
  if (existsSync(privateFile) && existsSync(publicFile)) return { privateFile };
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const kid = `${service}-${randomBytes(6).toString('hex')}`;
  const common = { kid, alg: 'EdDSA', use: 'sig' };
  writeFileSync(privateFile, JSON.stringify({ ...(await exportJWK(privateKey)), ...common }), { mode: 0o600 });
  writeFileSync(publicFile, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), ...common }] }), {
    mode: 0o644,
  });
  return { privateFile };
}
