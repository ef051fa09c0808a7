import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { StartupError } from '@countersign/service-kit';
import type { UpstreamTls } from './config.ts';
import { readNamedFile } from './files.ts';

/** As `tls.connect` takes it. */
export type TlsMaterial = Readonly<{ ca?: string; cert?: string; key?: string; servername?: string }>;

/** A file that cannot be used: `key` is where it is named, `why` is without its path. */
export class UnusableTlsFile extends StartupError {
  readonly key: 'ca' | 'cert' | 'key';
  readonly why: string;

  constructor({ key, path, why, cause }: NamedFile & Readonly<{ why: string; cause?: unknown }>) {
    super(`${path}: ${why}`, { cause });
    this.key = key;
    this.why = why;
  }
}

type NamedFile = Readonly<{ key: UnusableTlsFile['key']; path: string }>;

/** @throws UnusableTlsFile with the file and what is wrong with it. */
export function readTlsFiles({ caFile, certFile, keyFile, serverName }: UpstreamTls): TlsMaterial {
  const ca = caFile === undefined ? undefined : readCertificates({ key: 'ca', path: caFile });
  const cert = certFile === undefined ? undefined : readCertificates({ key: 'cert', path: certFile });
  const key = keyFile === undefined ? undefined : readText({ key: 'key', path: keyFile });
  const material = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(serverName !== undefined && { servername: serverName }),
  };
  try {
    createSecureContext(material);
  } catch (cause) {
    throw new UnusableTlsFile({
      key: 'key',
      path: String(keyFile),
      why: 'is no private key in PEM, or not the one of "cert"',
      cause,
    });
  }
  return material;
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** OpenSSL skips what it does not understand of a list of CAs, and would then trust none, or fewer than are written. */
function readCertificates(file: NamedFile): string {
  const text = readText(file);
  const certificates = text.match(pemCertificate) ?? [];
  if (certificates.length === 0) throw new UnusableTlsFile({ ...file, why: 'holds no certificate in PEM' });
  for (const certificate of certificates) {
    try {
      new X509Certificate(certificate);
    } catch (cause) {
      throw new UnusableTlsFile({ ...file, why: 'holds a certificate that is malformed', cause });
    }
  }
  return text;
}

function readText(file: NamedFile): string {
  try {
    return readNamedFile(file.path).toString();
  } catch (cause) {
    const why = `cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'error'})`;
    throw new UnusableTlsFile({ ...file, why, cause });
  }
}
