import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { type Logger, StartupError } from '@countersign/service-kit';
import type { UpstreamTls } from '../config/config.ts';
import { type Reloaded, reloaded } from '../keys/reloaded.ts';

/** As `tls.connect` takes it. The same object for as long as the files are the same. */
export type TlsMaterial = Readonly<{ ca?: string; cert?: string; key?: string; servername?: string }>;

export type TlsFiles = Reloaded<TlsMaterial>;

/**
 * Reads an upstream's PEM files at once and then every 5 s. Files that became bad never replace good ones.
 *
 * @throws StartupError when they are bad to begin with. Nothing of a file is in its message.
 */
export function openTlsFiles(name: string, tls: UpstreamTls, logger: Logger): TlsFiles {
  return reloaded({
    what: `TLS files of upstream ${name}`,
    load: () => readTlsFiles(tls),
    fingerprint: ({ ca, cert, key }) =>
      createHash('sha256')
        .update(JSON.stringify([ca, cert, key]))
        .digest('base64'),
    logger,
  });
}

/** @throws StartupError with the file and what is wrong with it. */
export function readTlsFiles({ caFile, certFile, keyFile, serverName }: UpstreamTls): TlsMaterial {
  const ca = caFile === undefined ? undefined : readCertificates(caFile);
  const cert = certFile === undefined ? undefined : readCertificates(certFile);
  const key = keyFile === undefined ? undefined : readText(keyFile);
  const material = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(serverName !== undefined && { servername: serverName }),
  };
  try {
    createSecureContext(material);
  } catch (cause) {
    throw new StartupError(`${keyFile}: is no private key in PEM, or not the one of ${certFile}`, { cause });
  }
  return material;
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** OpenSSL skips what it does not understand of a list of CAs, and would then trust none, or fewer than are written. */
function readCertificates(path: string): string {
  const text = readText(path);
  const certificates = text.match(pemCertificate) ?? [];
  if (certificates.length === 0) throw new StartupError(`${path}: holds no certificate in PEM`);
  for (const certificate of certificates) {
    try {
      new X509Certificate(certificate);
    } catch (cause) {
      throw new StartupError(`${path}: holds a certificate that is malformed`, { cause });
    }
  }
  return text;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new StartupError(`${path}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'error'})`, { cause });
  }
}
