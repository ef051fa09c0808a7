import { createHash } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Certificate } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Claims } from './claims.ts';

/**
 * Compares the certificate that a token is bound to with the connection's certificate (RFC 8705 section 3). A token
 * without such a binding passes.
 *
 * @throws AppError `token_certificate_missing`, `token_certificate_mismatch`. `token_certificate_unsupported` if the
 *   listener does not ask for certificates, so that there is nothing to compare.
 */
export type CertificateCheck = (claims: Pick<Claims, 'certificate'>, peer: object) => void;

export function createCertificateCheck(listener: Pick<Certificate, 'clients'> | undefined): CertificateCheck {
  const isAsked = listener?.clients !== undefined;
  // Cached per connection, because its certificate never changes, and hashing takes longer than a lookup.
  const thumbprints = new WeakMap<object, string>();

  function thumbprintOf(peer: object): string | undefined {
    const known = thumbprints.get(peer);
    if (known !== undefined) return known;
    // A certificate from an unknown CA counts as no certificate.
    if (!(peer instanceof TLSSocket) || !peer.authorized) return undefined;
    const certificate = peer.getPeerX509Certificate();
    if (certificate === undefined) return undefined;
    const thumbprint = createHash('sha256').update(certificate.raw).digest('base64url');
    thumbprints.set(peer, thumbprint);
    return thumbprint;
  }

  return ({ certificate }, peer) => {
    if (certificate === undefined) return;
    if (!isAsked) throw new AppError('token_certificate_unsupported');
    const thumbprint = thumbprintOf(peer);
    if (thumbprint === undefined) throw new AppError('token_certificate_missing');
    if (thumbprint !== certificate) throw new AppError('token_certificate_mismatch');
  };
}
