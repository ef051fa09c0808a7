import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { StartupError } from '@countersign/service-kit';
import type { UpstreamTls } from './config.ts';

/** As `tls.connect` takes it. */
export type TlsMaterial = Readonly<{ ca?: string; cert?: string; key?: string; servername?: string }>;

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
