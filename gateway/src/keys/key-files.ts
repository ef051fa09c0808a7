import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
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
import { createFile, replaceFile, StartupError, whyUnreadable } from '@countersign/process-kit';
import { z } from 'zod';

/** Who may read the key files. `group` also allows this process's groups, for Kubernetes Secrets. */
export type KeyFileAccess = 'owner' | 'group';

/**
 * ed25519 signs headers, es256 signs identity tokens, and x25519 is for key agreement with services. Each kind is
 * rotated separately.
 */
export type KeyKind = 'ed25519' | 'x25519' | 'es256';

/** One of the gateway's keys, and when it is valid. A key is published as soon as it exists. */
export type ManagedKey = Readonly<{
  kind: KeyKind;
  /** The key's RFC 7638 thumbprint. */
  kid: string;
  notBeforeSec: number;
  /** Unix seconds. If undefined, the key may be used until it is retired. */
  expiresSec: number | undefined;
}>;

export type PublicJwk = Readonly<{ kty: 'OKP'; crv: 'Ed25519'; x: string; kid: string; alg: 'EdDSA'; use: 'sig' }>;

export type GatewayKey = ManagedKey & Readonly<{ kind: 'ed25519'; privateKey: KeyObject; publicJwk: PublicJwk }>;

export type GatewayAgreementKey = ManagedKey & AgreementKeyPair & Readonly<{ kind: 'x25519'; publicJwk: AgreementJwk }>;

/** JWT libraries know this form of key (RFC 7518 section 6.2). */
export type TokenPublicJwk = Readonly<Omit<PublicJwk, 'kty' | 'crv' | 'alg'>> &
  Readonly<{ kty: 'EC'; crv: 'P-256'; y: string; alg: 'ES256' }>;

/** A key that signs identity tokens, and nothing else. */
export type GatewayTokenKey = ManagedKey &
  Readonly<{ kind: 'es256'; privateKey: KeyObject; publicJwk: TokenPublicJwk }>;

// An older gateway would refuse the directory if the other kinds had the same suffix as ed25519.
const suffixes: Readonly<Record<KeyKind, string>> = {
  ed25519: '.jwk.json',
  x25519: '.x25519.json',
  es256: '.es256.json',
};

/** Newest `nbf` last. Throws StartupError without a key, and for a file that is malformed or readable by others. */
export function readKeys(directory: string, access: KeyFileAccess = 'owner'): readonly GatewayKey[] {
  const keys = readFiles({ directory, access }, 'ed25519', parseSigningKey);
  if (keys.length > 0) return keys;
  throw new StartupError(`${directory}: contains no keys (*${suffixes.ed25519}). ${remedyFor(directory)}`);
}

/** Like {@link readKeys}, for X25519 keys. There may be none. */
export function readAgreementKeys(directory: string, access: KeyFileAccess = 'owner'): readonly GatewayAgreementKey[] {
  return readFiles({ directory, access }, 'x25519', parseAgreementKey);
}

/** Like {@link readKeys}, for the ES256 keys of identity tokens. There may be none. */
export function readTokenKeys(directory: string, access: KeyFileAccess = 'owner'): readonly GatewayTokenKey[] {
  return readFiles({ directory, access }, 'es256', parseTokenKey);
}

export function readAllKeys(directory: string, access: KeyFileAccess = 'owner'): readonly ManagedKey[] {
  return [...readKeys(directory, access), ...readAgreementKeys(directory, access), ...readTokenKeys(directory, access)];
}

export function hasGatewayKeys(directory: string): boolean {
  return existsSync(directory) && fileNames(directory, 'ed25519').length > 0;
}

/** A key file. `text` is secret. */
export type KeyFile = Readonly<{ kid: string; name: string; text: string }>;

/** @param notBeforeSec When the gateway starts to use the key. Services must have fetched it by then. */
export function newKeyFile(kind: KeyKind, notBeforeSec: number): KeyFile {
  const jwk = newJwk[kind]();
  return { kid: jwk.kid, name: jwk.kid + suffixes[kind], text: textOf({ ...jwk, nbf: notBeforeSec }) };
}

export function keyFileOf(directory: string, { kind, kid }: Named): KeyFile {
  const name = kid + suffixes[kind];
  return { kid, name, text: readSecretFile(join(directory, name), 'group') };
}

/** @returns The kid. Throws StartupError if the directory cannot be written. */
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

function newTokenJwk(): TokenPublicJwk & Readonly<{ d: string }> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y, d } = privateKey.export({ format: 'jwk' });
  if (x === undefined || y === undefined || d === undefined) throw new Error('node made a key without x, y or d');
  const kid = jwkThumbprint({ kty: 'EC', crv: 'P-256', x, y });
  if (kid.startsWith('-')) return newTokenJwk();
  return { kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid, x, y, d };
}

const newJwk = { ed25519: newSigningJwk, x25519: newAgreementJwk, es256: newTokenJwk } as const;

const remedyFor = (directory: string): string => `To create one, run countersign keys create --dir ${directory}`;

const textOf = (jwk: object) => `${JSON.stringify(jwk, null, 2)}\n`;

function fileNames(directory: string, kind: KeyKind): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith(suffixes[kind]) && !name.startsWith('.'));
  } catch (cause) {
    const remedy = codeOf(cause) === 'ENOENT' ? `. ${remedyFor(directory)}` : '';
    throw new StartupError(`${directory}: ${whyUnreadable(cause)}${remedy}`, { cause });
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
    throw new StartupError(`${file}: ${whyUnreadable(cause)}`, { cause });
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
const keyFile = { d: bytes32, kid: z.string(), use: z.literal('sig').optional(), ...times };
const okp = { kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: bytes32, alg: z.literal('EdDSA').optional() };
const ec = {
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: bytes32,
  y: bytes32,
  alg: z.literal('ES256').optional(),
};
const signingKeyFile = z.strictObject({ ...okp, ...keyFile });
const tokenKeyFile = z.strictObject({ ...ec, ...keyFile });

/** Reads a private JWK with `nbf` and `exp`, whose kid is its thumbprint. */
function parseJwk<File extends z.ZodType<{ kid: string }>>(file: File, form: string, text: string): z.output<File> {
  const { success, data, error } = file.safeParse(JSON.parse(text));
  const [issue] = error?.issues ?? [];
  if (!success) throw new RangeError(`is not ${form} private JWK (${issue?.path.join('.') || issue?.code})`);
  if (data.kid !== jwkThumbprint(data)) throw new RangeError("has a kid that is not the key's RFC 7638 thumbprint");
  return data;
}

/** Reads a private JWK (RFC 8037) with `nbf` and `exp`. */
function parseSigningKey(text: string): GatewayKey {
  const { kty, crv, x, d, kid, ...period } = parseJwk(signingKeyFile, 'an ed25519', text);
  if (isPublishedKey({ x })) throw new RangeError('is a published test key: anyone can sign with it');
  const valid = periodOf(period);
  const privateKey = privateKeyOf({ kty, crv, x, d });
  // Before Node.js 26, OpenSSL does not check `x`, so this check makes sure that the published key belongs to `d`.
  const derived = privateKey && createPublicKey(privateKey.export({ format: 'pem', type: 'pkcs8' }));
  if (privateKey === undefined || derived?.export({ format: 'jwk' }).x !== x) {
    throw new RangeError('has an x that does not match its d');
  }
  return { kind: 'ed25519', kid, privateKey, publicJwk: { kty, crv, x, kid, alg: 'EdDSA', use: 'sig' }, ...valid };
}

/** Reads a private JWK (RFC 7518 section 6.2) with `nbf` and `exp`. */
export function parseTokenKey(text: string): GatewayTokenKey {
  const { kty, crv, x, y, d, kid, ...period } = parseJwk(tokenKeyFile, 'a P-256', text);
  const privateKey = privateKeyOf({ kty, crv, x, y, d });
  if (privateKey === undefined || !belongs(privateKey, { x, y })) throw new RangeError('has a d of another public key');
  const publicJwk = { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' } as const;
  return { kind: 'es256', kid, privateKey, publicJwk, ...periodOf(period) };
}

/** Signs and verifies, because OpenSSL does not check that a public key belongs to `d`. */
function belongs(privateKey: KeyObject, { x, y }: Readonly<{ x: string; y: string }>): boolean {
  const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y } });
  return verify('sha256', Buffer.alloc(0), publicKey, sign('sha256', Buffer.alloc(0), privateKey));
}

function privateKeyOf(
  key: Readonly<{ kty: string; crv: string; x: string; y?: string; d: string }>,
): KeyObject | undefined {
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
