import { mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AgreementKeyPair,
  agreementKeyFromJwk,
  newAgreementJwk,
  type PrivateAgreementJwk,
} from '@countersign/identity';
import { createFile, replaceFile, StartupError } from '@countersign/service-kit';
import { z } from 'zod';
import { codeOf, readSecretFile } from './secret-file.ts';

/** An X25519 key of the gateway, and the time in which it may be used. It is published as soon as it exists. */
export type GatewayAgreementKey = AgreementKeyPair &
  Readonly<{
    jwk: PrivateAgreementJwk;
    /** Unix seconds. */
    notBeforeSec: number;
    /** Unix seconds. Undefined: it may be used until it is retired. */
    expiresSec: number | undefined;
  }>;

/** Not that of the ed25519 keys: a gateway of an older version would refuse the directory. */
const suffix = '.x25519.json';

const times = z.looseObject({ nbf: z.int().min(0).optional(), exp: z.int().min(0).optional() });

/**
 * Reads the X25519 keys of the directory of `identity.keys`, newest `nbf` last.
 *
 * @throws StartupError naming a file that is malformed or that others may read.
 */
export function readAgreementKeys(directory: string): readonly GatewayAgreementKey[] {
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => name.endsWith(suffix) && !name.startsWith('.'));
  } catch (error) {
    throw new StartupError(`${directory}: cannot be read (${codeOf(error)})`, { cause: error });
  }
  const keys = names.map((name) => parse(join(directory, name), readSecretFile(join(directory, name))));
  return keys.sort((a, b) => a.notBeforeSec - b.notBeforeSec || (a.kid < b.kid ? -1 : 1));
}

function parse(path: string, text: string): GatewayAgreementKey {
  if (text.trim() === '') throw new StartupError(`${path}: is empty, so it was never a key. Delete it`);
  try {
    const { nbf, exp, ...jwk } = times.parse(JSON.parse(text));
    const pair = agreementKeyFromJwk(jwk);
    if (exp !== undefined && exp <= (nbf ?? 0)) throw new RangeError('it expires before it begins');
    // agreementKeyFromJwk has checked every member.
    return { ...pair, jwk: jwk as PrivateAgreementJwk, notBeforeSec: nbf ?? 0, expiresSec: exp };
  } catch (error) {
    // Another error's message could quote the private key.
    const why = error instanceof RangeError ? error.message : 'it is not a JWK';
    throw new StartupError(`${path}: is no key for agreement (${why})`);
  }
}

/**
 * Creates a key file.
 *
 * @param notBeforeSec When the gateway begins to use it. Services must have fetched it by then.
 * @returns The kid.
 */
export function createAgreementKey(directory: string, notBeforeSec: number): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const jwk = newAgreementJwk();
  createFile(join(directory, jwk.kid + suffix), textOf(jwk, notBeforeSec), 0o600);
  return jwk.kid;
}

/** Gives a key an expiry, so that requests signed shortly before stay valid until then. */
export function retireAgreementKey(directory: string, key: GatewayAgreementKey, expiresSec: number): void {
  replaceFile(join(directory, key.kid + suffix), textOf(key.jwk, key.notBeforeSec, expiresSec), 0o600);
}

/** Deletes a key at once. Services then refuse requests signed shortly before, too. */
export function removeAgreementKey(directory: string, key: GatewayAgreementKey): void {
  unlinkSync(join(directory, key.kid + suffix));
}

const textOf = (jwk: PrivateAgreementJwk, nbf: number, exp?: number) =>
  `${JSON.stringify({ ...jwk, nbf, exp }, null, 2)}\n`;
