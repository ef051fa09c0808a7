import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { KeySetUnavailable, staticKeySet } from '@countersign/jwks';
import { ConfigError, StartupError, whyUnreadable } from '@countersign/process-kit';
import { maxBytes, type Path, tooLarge } from '@countersign/strict-yaml';
import type { CheckedFile, Refuse } from './checks/cross-checks.ts';
import type { SigningAlgorithm } from './schema/issuers/issuer-values.ts';
import type { UpstreamTls } from './schema/upstreams.ts';

/** A file that a configuration uses, with the SHA-256 of its content in hex. */
export type FileRead = Readonly<{ path: string; hash: string }>;

export const hashOf = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Whether the text is a hash, and not the reason why {@link readAgain} failed. */
export const isHash = (hash: string): boolean => /^[0-9a-f]{64}$/.test(hash);

/** @throws ConfigError if the file, or standard input for `-`, is missing, unreadable, too large or not UTF-8. */
export function readConfigFile(file: string): string {
  let bytes: Buffer;
  try {
    bytes = file === '-' ? readFileSync(0) : readNamedFile(file, maxBytes);
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'EFBIG';
    throw new ConfigError([isTooLarge ? `${file}:1:1: ${tooLarge}` : `${file}: ${whyUnreadable(error)}`]);
  }
  try {
    // Keeps the byte order mark, so that the hash matches the file.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ConfigError([`${file}:1:1: is not UTF-8`]);
  }
}

/** @throws Error with a `code`: `EFBIG` if the file is too large, or `not a file` for a device. */
export function readNamedFile(path: string, largest = 1024 * 1024): Buffer {
  // Checked before reading: a disk image would fill the memory, and /dev/zero never ends.
  const stats = statSync(path);
  const code = stats.size > largest ? 'EFBIG' : stats.isCharacterDevice() ? 'not a file' : undefined;
  if (code !== undefined) throw Object.assign(new Error(`${path} is not a regular file`), { code });
  return readFileSync(path);
}

/** Hashes a file again. If the file cannot be read, `hash` is the reason, so that one failure is reported once. */
export async function readAgain({ path }: FileRead): Promise<FileRead> {
  try {
    const stats = await stat(path);
    const isTooLarge = stats.isCharacterDevice() || stats.size > maxBytes;
    return { path, hash: isTooLarge ? tooLarge : hashOf(await readFile(path)) };
  } catch (error) {
    return { path, hash: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}

/** @returns Why a file is not usable as an issuer's key set, without the path. Undefined if the file is usable. */
export function whyNoIssuerKeys(file: string, algorithms: readonly SigningAlgorithm[]): string | undefined {
  try {
    staticKeySet(JSON.parse(readNamedFile(file).toString()), { algorithms });
    return undefined;
  } catch (error) {
    return whyUnusable(error);
  }
}

export function whyUnusable(error: unknown): string {
  if (error instanceof KeySetUnavailable) return 'contains no key that this issuer may sign with';
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? 'is not a JWK set' : whyUnreadable(error);
}

/** TLS files in the form that `tls.connect` expects. */
export type TlsMaterial = Readonly<{ ca?: string; cert?: string; key?: string; servername?: string }>;

type NamedFile = Readonly<{ key: 'ca' | 'cert' | 'key'; path: string }>;

/** `key` is the configuration key that names the file. `why` is the problem, without the file's path and content. */
export class UnusableTlsFile extends StartupError {
  readonly key: NamedFile['key'];
  readonly why: string;

  constructor({ key, path }: NamedFile, why: string, cause?: unknown) {
    super(`${path}: ${why}`, { cause });
    this.key = key;
    this.why = why;
  }
}

export type Certificate = Readonly<{
  cert: string;
  key: string;
  expiresAtMs: number;
  /** The CAs that sign client certificates, in PEM. If undefined, clients are not asked for a certificate. */
  clients?: Readonly<{ ca: string; mode: 'request' | 'require' }> | undefined;
}>;

/** @throws UnusableTlsFile with this reason if `read` throws. */
function attempt<T>(file: NamedFile, why: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new UnusableTlsFile(file, why, cause);
  }
}

/** @throws UnusableTlsFile that names the file and its problem. */
export function readTlsFiles({ caFile, certFile, keyFile, serverName }: UpstreamTls): TlsMaterial {
  const material = {
    ...(caFile !== undefined && { ca: readCertificates({ key: 'ca', path: caFile }).text }),
    ...(certFile !== undefined && { cert: readCertificates({ key: 'cert', path: certFile }).text }),
    ...(keyFile !== undefined && { key: readText({ key: 'key', path: keyFile }) }),
    ...(serverName !== undefined && { servername: serverName }),
  };
  const why = 'is not a private key in PEM, or does not match "cert"';
  attempt({ key: 'key', path: String(keyFile) }, why, () => createSecureContext(material));
  return material;
}

export type ListenerCertificate = ReturnType<typeof readListenerCertificate>;

/**
 * Reads the public listener's certificate and key, and the CAs of clients and of the proxy that asks for decisions.
 * Reading them here lets `check` find a pair that does not match. A reload applies a renewed pair together with the
 * rest of the configuration, or not at all.
 */
export function readListenerCertificate(file: CheckedFile, refuse: Refuse) {
  const { tls } = file.listen;
  const { decision, directory, unread } = file;
  if (tls === undefined) return { certificate: undefined, decisionCa: undefined, files: [] };
  const files: FileRead[] = [];
  if (unread !== undefined) {
    const { clients } = tls;
    for (const path of [tls.cert, tls.key, clients?.ca, decision?.clientCa]) if (path !== undefined) unread.add(path);
    const certificate: Certificate = {
      cert: '',
      key: '',
      expiresAtMs: 0,
      clients: clients && { ca: '', mode: clients.mode },
    };
    return { certificate, decisionCa: decision?.clientCa && '', files };
  }
  const using = <T extends Readonly<{ text: string }>>(place: Path, path: string, read: (file: NamedFile) => T) => {
    const named = { key: 'cert' as const, path: resolve(directory, path) };
    try {
      const content = read(named);
      files.push({ path: named.path, hash: hashOf(content.text) });
      return content;
    } catch (error) {
      if (!(error instanceof UnusableTlsFile)) throw error;
      return refuse(place, error.why);
    }
  };
  const { clients } = tls;
  const chain = using(['listen', 'tls', 'cert'], tls.cert, readChain);
  const key = using(['listen', 'tls', 'key'], tls.key, readKey);
  const proxyCa = decision?.clientCa && using(['decision', 'clientCa'], decision.clientCa, readCertificates);
  const authorities = clients && using(['listen', 'tls', 'clients', 'ca'], clients.ca, readCertificates);
  /** The CAs of the proxy that asks for decisions, in PEM. */
  const decisionCa = proxyCa ? proxyCa.text : undefined;
  if (chain === undefined || key === undefined) return { certificate: undefined, decisionCa, files };
  if (!chain.leaf.checkPrivateKey(key.object)) {
    refuse(['listen', 'tls', 'key'], 'is not the key of the first certificate in "cert"');
  }
  const certificate: Certificate = {
    cert: chain.text,
    key: key.text,
    expiresAtMs: chain.leaf.validToDate.getTime(),
    // If the CAs could not be read, the code above has already refused the file.
    clients: clients && { ca: authorities?.text ?? '', mode: clients.mode },
  };
  return { certificate, decisionCa, files };
}

function readChain(file: NamedFile) {
  const chain = readCertificates(file);
  const why = 'contains a certificate that OpenSSL refuses, such as one with a key that is too short';
  attempt(file, why, () => createSecureContext({ cert: chain.text }));
  return chain;
}

function readKey(file: NamedFile) {
  const text = readText(file);
  if (/ENCRYPTED/.test(text)) {
    throw new UnusableTlsFile(file, 'is encrypted: the gateway cannot ask for a passphrase');
  }
  return { text, object: attempt(file, 'contains no private key in PEM', () => createPrivateKey(text)) };
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * Reads every certificate separately. OpenSSL skips those that it does not understand, and would then trust fewer CAs
 * than the file contains.
 */
function readCertificates(file: NamedFile) {
  const text = readText(file);
  const [leaf] = (text.match(pemCertificate) ?? []).map((pem) =>
    attempt(file, 'contains a malformed certificate', () => new X509Certificate(pem)),
  );
  if (leaf === undefined) throw new UnusableTlsFile(file, 'contains no certificate in PEM');
  return { text, leaf };
}

function readText(file: NamedFile): string {
  try {
    return readNamedFile(file.path).toString();
  } catch (cause) {
    throw new UnusableTlsFile(file, whyUnreadable(cause), cause);
  }
}
