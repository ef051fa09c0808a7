import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AgreementJwk,
  type AgreementKeyPair,
  agreementKeyFromJwk,
  isPublishedKey,
  newAgreementJwk,
  publicAgreementJwk,
  whyNotPrivate,
} from '@countersign/identity';
import { isBase64url, jwkThumbprint } from '@countersign/jwks';
import { createFile, replaceFile, StartupError } from '@countersign/service-kit';
import { z } from 'zod';

/**
 * `identity.keyFiles`: who may read the key files. `group` also allows this process's groups, for Kubernetes Secrets.
 */
export type KeyFileAccess = 'owner' | 'group';

/**
 * What a key is for: ed25519 signs, and x25519 is for key agreement with services. Each kind is rotated separately.
 */
export type KeyKind = 'ed25519' | 'x25519';

/** One of the gateway's keys, and when it is valid. A key is published as soon as it exists. */
export type ManagedKey = Readonly<{
  kind: KeyKind;
  /** The key's RFC 7638 thumbprint. */
  kid: string;
  notBeforeSec: number;
  /** Unix seconds. If undefined, the key may be used until it is retired. */
  expiresSec: number | undefined;
}>;

/** The public key as it is published, without `d`. */
export type PublicJwk = Readonly<{ kty: 'OKP'; crv: 'Ed25519'; x: string; kid: string; alg: 'EdDSA'; use: 'sig' }>;

/** An ed25519 key that signs identity headers. */
export type GatewayKey = ManagedKey & Readonly<{ kind: 'ed25519'; privateKey: KeyObject; publicJwk: PublicJwk }>;

export type GatewayAgreementKey = ManagedKey & AgreementKeyPair & Readonly<{ kind: 'x25519'; publicJwk: AgreementJwk }>;

// An older gateway would refuse the directory if X25519 keys had the same suffix as the others.
const suffixes: Readonly<Record<KeyKind, string>> = { ed25519: '.jwk.json', x25519: '.x25519.json' };

/**
 * Reads the ed25519 keys in the directory `identity.keys`, newest `nbf` last.
 *
 * @throws StartupError if the directory is missing, empty or unreadable, or if a file is malformed or readable by
 *   others.
 */
export function readKeys(directory: string, access: KeyFileAccess = 'owner'): readonly GatewayKey[] {
  const keys = readFiles({ directory, access }, 'ed25519', parseSigningKey);
  if (keys.length > 0) return keys;
  throw new StartupError(`${directory}: contains no keys (*${suffixes.ed25519}). ${remedyFor(directory)}`);
}

/** Like {@link readKeys}, for X25519 keys. There may be none. */
export function readAgreementKeys(directory: string, access: KeyFileAccess = 'owner'): readonly GatewayAgreementKey[] {
  return readFiles({ directory, access }, 'x25519', parseAgreementKey);
}

/** Reads all keys in a directory like {@link readKeys}: each kind with its newest key last. */
export function readAllKeys(directory: string, access: KeyFileAccess = 'owner'): readonly ManagedKey[] {
  return [...readKeys(directory, access), ...readAgreementKeys(directory, access)];
}

/** Whether the directory exists and contains a key. */
export function hasGatewayKeys(directory: string): boolean {
  return existsSync(directory) && fileNames(directory, 'ed25519').length > 0;
}

/** A key file. `text` is secret. */
export type KeyFile = Readonly<{ kid: string; name: string; text: string }>;

/** @param notBeforeSec When the gateway starts to use the key. Services must have fetched it by then. */
export function newKeyFile(kind: KeyKind, notBeforeSec: number): KeyFile {
  const jwk = kind === 'ed25519' ? newSigningJwk() : newAgreementJwk();
  return { kid: jwk.kid, name: jwk.kid + suffixes[kind], text: textOf({ ...jwk, nbf: notBeforeSec }) };
}

export function keyFileOf(directory: string, { kind, kid }: Named): KeyFile {
  const name = kid + suffixes[kind];
  return { kid, name, text: readSecretFile(join(directory, name), 'group') };
}

/**
 * Creates a key file.
 *
 * @param notBeforeSec As for {@link newKeyFile}.
 * @returns The kid.
 * @throws StartupError if the directory cannot be written.
 */
export function createKey(kind: KeyKind, directory: string, notBeforeSec: number): string {
  const { kid, name, text } = newKeyFile(kind, notBeforeSec);
  changeIn(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    createFile(join(directory, name), text, 0o600);
  });
  return kid;
}

function changeIn(directory: string, change: () => void): void {
  try {
    change();
  } catch (cause) {
    const code = codeOf(cause);
    const isReadOnly = ['EROFS', 'EACCES', 'EPERM'].includes(code);
    const advice = isReadOnly ? '. For a Kubernetes Secret, run countersign keys rotate --to-stdout' : '';
    throw new StartupError(`${directory}: cannot be written (${code})${advice}`, { cause });
  }
}

type Named = Pick<ManagedKey, 'kind' | 'kid'>;

/** Sets a key's expiry, so that requests signed shortly before stay valid until then. */
export function retireKey(directory: string, key: Named, expiresSec: number): void {
  const { name, text } = keyFileOf(directory, key);
  changeIn(directory, () =>
    replaceFile(join(directory, name), textOf({ ...JSON.parse(text), exp: expiresSec }), 0o600),
  );
}

/** Deletes a key immediately. Services then refuse requests that were signed with it, even shortly before. */
export function removeKey(directory: string, { kind, kid }: Named): void {
  changeIn(directory, () => unlinkSync(join(directory, kid + suffixes[kind])));
}

/** Generates a key. The kid never starts with `-`, because a command line would read that as an option. */
export function newSigningJwk(): PublicJwk & Readonly<{ d: string }> {
  const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  if (x === undefined || d === undefined) throw new Error('node made a key without x or d');
  const kid = jwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x });
  if (kid.startsWith('-')) return newSigningJwk();
  return { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid, x, d };
}

export const remedyFor = (directory: string): string => `To create one, run countersign keys create --dir ${directory}`;

const textOf = (jwk: object) => `${JSON.stringify(jwk, null, 2)}\n`;

function fileNames(directory: string, kind: KeyKind): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith(suffixes[kind]) && !name.startsWith('.'));
  } catch (cause) {
    throw new StartupError(`${directory}: cannot be read (${codeOf(cause)}). ${remedyFor(directory)}`, { cause });
  }
}

/** @param parse Throws a RangeError whose message reveals nothing about the key. */
function readFiles<Key extends ManagedKey>(
  { directory, access }: Readonly<{ directory: string; access: KeyFileAccess }>,
  kind: Key['kind'],
  parse: (text: string) => Key,
): readonly Key[] {
  const keys = fileNames(directory, kind).map((name) => {
    const file = join(directory, name);
    const text = readSecretFile(file, access);
    if (text.trim() === '') {
      throw new StartupError(`${file}: is empty, so it never contained a key. Delete it. ${remedyFor(directory)}`);
    }
    try {
      return parse(text);
    } catch (error) {
      // Any other error could quote the private key, in its message or elsewhere.
      throw new StartupError(`${file}: ${error instanceof RangeError ? error.message : 'is not JSON'}`);
    }
  });
  return keys.sort((a, b) => a.notBeforeSec - b.notBeforeSec || (a.kid < b.kid ? -1 : 1));
}

/** @throws StartupError if the file cannot be read, or if others may read it: see `whyNotPrivate`. */
function readSecretFile(file: string, access: KeyFileAccess): string {
  let text: string;
  let open: string | undefined;
  try {
    open = whyTooOpen(statSync(file), access);
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new StartupError(`${file}: cannot be read (${codeOf(cause)})`, { cause });
  }
  if (open !== undefined) throw new StartupError(`${file}: ${open}`);
  return text;
}

function whyTooOpen(stats: Stats, access: KeyFileAccess): string | undefined {
  const open = whyNotPrivate(stats);
  if (open !== undefined || access === 'group' || (stats.mode & 0o077) === 0) return open;
  return `its group may read it (mode ${(stats.mode & 0o777).toString(8)}). Run chmod 600 on it, or set identity.keyFiles: group`;
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? 'error';

/** The members that both kinds of keys have. Times are in Unix seconds. */
const times = { nbf: z.int().min(0).optional(), exp: z.int().min(0).optional() };

function periodOf({ nbf = 0, exp }: z.infer<z.ZodObject<typeof times>>) {
  if (exp !== undefined && exp <= nbf) throw new RangeError('expires before it becomes valid');
  return { notBeforeSec: nbf, expiresSec: exp };
}

const bytes32 = z.string().refine((text) => isBase64url(text, 32));
const signingKeyFile = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: bytes32,
  d: bytes32,
  kid: z.string(),
  alg: z.literal('EdDSA').optional(),
  use: z.literal('sig').optional(),
  ...times,
});

/** Reads a private JWK (RFC 8037) with `nbf` and `exp`. */
function parseSigningKey(text: string): GatewayKey {
  const parsed = signingKeyFile.safeParse(JSON.parse(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new RangeError(`is not an ed25519 private JWK (${issue?.path.join('.') || issue?.code})`);
  }
  const { kty, crv, x, d, kid } = parsed.data;
  if (kid !== jwkThumbprint({ kty, crv, x }))
    throw new RangeError("has a kid that is not the key's RFC 7638 thumbprint");
  if (isPublishedKey({ x })) throw new RangeError('is a published test key: anyone can sign with it');
  const period = periodOf(parsed.data);
  const privateKey = privateKeyOf({ kty, crv, x, d });
  // Before Node.js 26, OpenSSL does not check `x`, so this check makes sure that the published key belongs to `d`.
  const derived = privateKey && createPublicKey(privateKey.export({ format: 'pem', type: 'pkcs8' }));
  if (privateKey === undefined || derived?.export({ format: 'jwk' }).x !== x) {
    throw new RangeError('has an x that does not match its d');
  }
  return { kind: 'ed25519', kid, privateKey, publicJwk: { kty, crv, x, kid, alg: 'EdDSA', use: 'sig' }, ...period };
}

function privateKeyOf(key: Readonly<{ kty: string; crv: string; x: string; d: string }>): KeyObject | undefined {
  try {
    return createPrivateKey({ format: 'jwk', key });
  } catch {
    return undefined;
  }
}

function parseAgreementKey(text: string): GatewayAgreementKey {
  try {
    const { nbf, exp, ...jwk } = z.looseObject(times).parse(JSON.parse(text));
    const pair = agreementKeyFromJwk(jwk);
    return { kind: 'x25519', ...pair, publicJwk: publicAgreementJwk(pair), ...periodOf({ nbf, exp }) };
  } catch (error) {
    const why = error instanceof RangeError ? error.message : 'it is not a JWK';
    throw new RangeError(`is not a key-agreement key: ${why}`);
  }
}
