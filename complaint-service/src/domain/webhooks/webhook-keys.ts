import { createHash, createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { WebhookKey } from './signature.ts';

/** A public key as receivers fetch it (RFC 8037). */
export type PublicWebhookJwk = Readonly<{
  kty: 'OKP';
  crv: 'Ed25519';
  x: string;
  kid: string;
  use: 'sig';
  alg: 'EdDSA';
}>;

export type WebhookKeys = Readonly<{
  /** Signs deliveries to webhooks without a secret. The public key is published. */
  ed25519: WebhookKey;
  published: PublicWebhookJwk;
  /** A webhook's current or previous secret. Shown to administrators as base64url. */
  secret(
    webhook: Readonly<{ tenantId: string; id: string; version: number }>,
  ): WebhookKey & Readonly<{ secret: Buffer }>;
}>;

/**
 * Derives all webhook keys from the service's master secret (RFC 5869). The database contains none of these keys, so a
 * stolen database or backup is not enough to forge a delivery.
 *
 * @param master At least 32 bytes, the same for all instances.
 */
export function webhookKeys(master: Buffer): WebhookKeys {
  const derive = (...info: string[]) =>
    Buffer.from(hkdfSync('sha256', master, '', JSON.stringify(['countersign-webhook-v1', ...info]), 32));
  const privateKey = ed25519FromSeed(derive('ed25519'));
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  const kid = thumbprint(x);
  return {
    ed25519: { algorithm: 'ed25519', keyid: kid, privateKey },
    published: { kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' },
    secret: ({ tenantId, id, version }) => ({
      algorithm: 'hmac-sha256',
      keyid: `${id}.${version}`,
      secret: derive('hmac', tenantId, id, String(version)),
    }),
  };
}

/** How every Ed25519 private key in PKCS #8 starts (RFC 8410 section 7). The seed follows. */
const pkcs8Start = Buffer.from('302e020100300506032b657004220420', 'hex');

function ed25519FromSeed(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Start, seed]), format: 'der', type: 'pkcs8' });
}

/** RFC 7638, with the members of RFC 8037 section 2. */
function thumbprint(x: string): string {
  return createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url');
}
