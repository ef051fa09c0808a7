import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Certificate } from './config.ts';
import { type FileRead, hashOf, readNamedFile } from './files.ts';
import type { Parts } from './schema/parts.ts';
import type { Finding } from './schema/problems.ts';

export type CertificateRead = Readonly<{
  certificate: Certificate | undefined;
  files: readonly FileRead[];
  findings: readonly Finding[];
}>;

export const noCertificate: CertificateRead = { certificate: undefined, files: [], findings: [] };

/** A file that cannot be used, and why. Nothing of what is in it. */
class Unusable extends Error {}

/**
 * Reads what the public listener proves itself with, so that `check` finds a pair that does not fit, and a reload takes up a renewed
 * one as it takes up everything else: whole, and a bad one not at all.
 */
export function readCertificate(listen: Parts['listen'], directory: string): CertificateRead {
  if (listen?.tls === undefined) return noCertificate;
  const findings: Finding[] = [];
  const files: FileRead[] = [];
  const paths = { cert: resolve(directory, listen.tls.cert), key: resolve(directory, listen.tls.key) };

  function using<T>(name: 'cert' | 'key', read: (text: string) => T): T | undefined {
    try {
      const text = readNamedFile(paths[name]).toString();
      files.push({ path: paths[name], hash: hashOf(text) });
      return read(text);
    } catch (error) {
      findings.push({ path: ['listen', 'tls', name], message: whyUnusable(error) });
      return undefined;
    }
  }
  const chain = using('cert', readChain);
  const key = using('key', readKey);
  if (chain === undefined || key === undefined) return { certificate: undefined, files, findings };
  if (!chain.leaf.checkPrivateKey(key.object)) {
    findings.push({ path: ['listen', 'tls', 'key'], message: 'is not the key of the first certificate in "cert"' });
  }
  const certificate = { cert: chain.text, key: key.text, expiresAtMs: chain.leaf.validToDate.getTime() };
  return { certificate, files, findings };
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function readChain(text: string): { text: string; leaf: X509Certificate } {
  const [leaf] = (text.match(pemCertificate) ?? []).map((pem) => {
    try {
      return new X509Certificate(pem);
    } catch {
      throw new Unusable('holds a certificate that is malformed');
    }
  });
  if (leaf === undefined) throw new Unusable('holds no certificate in PEM');
  try {
    createSecureContext({ cert: text });
  } catch {
    throw new Unusable('holds a certificate that OpenSSL refuses, such as one with a key that is too short');
  }
  return { text, leaf };
}

function readKey(text: string): { text: string; object: KeyObject } {
  if (/ENCRYPTED/.test(text)) throw new Unusable('is under a passphrase: the gateway has nobody to ask for it');
  try {
    return { text, object: createPrivateKey(text) };
  } catch {
    throw new Unusable('holds no private key in PEM');
  }
}

function whyUnusable(error: unknown): string {
  if (error instanceof Unusable) return error.message;
  return `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`;
}
