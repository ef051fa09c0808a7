import { createPrivateKey, X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { StartupError } from '@countersign/service-kit';
import { type FileRead, hashOf, readNamedFile, whyUnreadable } from './files.ts';
import type { Refuse } from './schema/cross-checks.ts';

/** TLS files in the form that `tls.connect` expects. */
export type TlsMaterial = Readonly<{ ca?: string; cert?: string; key?: string; servername?: string }>;

type NamedFile = Readonly<{ key: 'ca' | 'cert' | 'key' | 'clients' | 'decision'; path: string }>;

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

/** A certificate followed by its chain, and its private key, in PEM. */
export type Certificate = Readonly<{
  cert: string;
  key: string;
  expiresAtMs: number;
  /** The CAs that sign client certificates, in PEM. If undefined, clients are not asked for a certificate. */
  clients?: Readonly<{ ca: string; mode: 'request' | 'require' }> | undefined;
}>;

type TlsPaths = { readonly [Key in 'ca' | 'cert' | 'key' | 'serverName']?: string | undefined };

/**
 * How an https upstream and the gateway authenticate to each other, with absolute paths. The gateway reads the files
 * again when they change.
 */
export type UpstreamTls = Readonly<ReturnType<typeof resolveTls>>;

export function resolveTls({ ca, cert, key, serverName }: TlsPaths, directory: string) {
  const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(directory, path));
  return { caFile: absolute(ca), certFile: absolute(cert), keyFile: absolute(key), serverName };
}

/** @throws UnusableTlsFile that names the file and its problem. */
export function readTlsFiles({ caFile, certFile, keyFile, serverName }: UpstreamTls): TlsMaterial {
  const material = {
    ...(caFile !== undefined && { ca: readCertificates({ key: 'ca', path: caFile }).text }),
    ...(certFile !== undefined && { cert: readCertificates({ key: 'cert', path: certFile }).text }),
    ...(keyFile !== undefined && { key: readText({ key: 'key', path: keyFile }) }),
    ...(serverName !== undefined && { servername: serverName }),
  };
  try {
    createSecureContext(material);
  } catch (cause) {
    const why = 'is not a private key in PEM, or does not match "cert"';
    throw new UnusableTlsFile({ key: 'key', path: String(keyFile) }, why, cause);
  }
  return material;
}

type ListenerTls = Pick<Certificate, 'cert' | 'key' | 'clients'>;

export type ListenerCertificate = Readonly<{
  certificate: Certificate | undefined;
  /** The CAs of the proxy that asks for decisions, in PEM. */
  decisionCa: string | undefined;
  files: readonly FileRead[];
}>;

/**
 * Reads the public listener's certificate and key, and the CAs of clients and of the proxy that asks for decisions.
 * Reading them here lets `check` find a pair that does not match. A reload applies a renewed pair together with the
 * rest of the configuration, or not at all.
 */
export function readListenerCertificate(
  { tls, decisionCa }: Readonly<{ tls?: ListenerTls | undefined; decisionCa?: string | undefined }>,
  directory: string,
  refuse: Refuse,
): ListenerCertificate {
  if (tls === undefined) return { certificate: undefined, decisionCa: undefined, files: [] };
  const files: FileRead[] = [];
  const using = <T>(file: NamedFile, read: (file: NamedFile) => T & Readonly<{ text: string }>) => {
    try {
      const content = read(file);
      files.push({ path: file.path, hash: hashOf(content.text) });
      return content;
    } catch (error) {
      if (!(error instanceof UnusableTlsFile)) throw error;
      refuse(placesOfFiles[file.key] ?? ['listen', 'tls', file.key], error.why);
      return undefined;
    }
  };
  const chain = using({ key: 'cert', path: resolve(directory, tls.cert) }, readChain);
  const key = using({ key: 'key', path: resolve(directory, tls.key) }, readKey);
  const proxyCa = decisionCa && using({ key: 'decision', path: resolve(directory, decisionCa) }, readCertificates);
  const { clients } = tls;
  const authorities = clients && using({ key: 'clients', path: resolve(directory, clients.ca) }, readCertificates);
  const read = { decisionCa: proxyCa ? proxyCa.text : undefined, files };
  if (chain === undefined || key === undefined) return { certificate: undefined, ...read };
  if (!chain.leaf.checkPrivateKey(key.object)) {
    refuse(['listen', 'tls', 'key'], 'is not the key of the first certificate in "cert"');
  }
  const certificate = { cert: chain.text, key: key.text, expiresAtMs: chain.leaf.validToDate.getTime() };
  if (clients === undefined) return { certificate, ...read };
  // If the CAs could not be read, the code above has already refused the file.
  return { certificate: { ...certificate, clients: { ca: authorities?.text ?? '', mode: clients.mode } }, ...read };
}

const placesOfFiles: Partial<Record<NamedFile['key'], readonly string[]>> = {
  clients: ['listen', 'tls', 'clients', 'ca'],
  decision: ['decision', 'clientCa'],
};

function readChain(file: NamedFile) {
  const chain = readCertificates(file);
  try {
    createSecureContext({ cert: chain.text });
  } catch (cause) {
    const why = 'contains a certificate that OpenSSL refuses, such as one with a key that is too short';
    throw new UnusableTlsFile(file, why, cause);
  }
  return chain;
}

function readKey(file: NamedFile) {
  const text = readText(file);
  if (/ENCRYPTED/.test(text)) {
    throw new UnusableTlsFile(file, 'is encrypted: the gateway cannot ask for a passphrase');
  }
  try {
    return { text, object: createPrivateKey(text) };
  } catch (cause) {
    throw new UnusableTlsFile(file, 'contains no private key in PEM', cause);
  }
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * Reads every certificate separately. OpenSSL skips those that it does not understand, and would then trust fewer CAs
 * than the file contains.
 */
function readCertificates(file: NamedFile) {
  const text = readText(file);
  const [leaf] = (text.match(pemCertificate) ?? []).map((pem) => {
    try {
      return new X509Certificate(pem);
    } catch (cause) {
      throw new UnusableTlsFile(file, 'contains a malformed certificate', cause);
    }
  });
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
