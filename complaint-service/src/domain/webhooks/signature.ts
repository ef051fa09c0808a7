import { createHash, createHmac, createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign } from 'node:crypto';

/** A key that signs deliveries. `hmac-sha256` uses a secret that the receiver also has. */
export type WebhookKey = Readonly<
  | { algorithm: 'ed25519'; keyid: string; privateKey: KeyObject }
  | { algorithm: 'hmac-sha256'; keyid: string; secret: Buffer }
>;

/** Identifies the purpose, so that signatures of other protocols are not accepted (RFC 9421 section 7.3.2). */
const webhookTag = 'countersign-webhook';

/** All parts of the request that receivers use (RFC 9421 section 2.2). */
const components = ['@method', '@target-uri', 'content-digest', 'content-type'] as const;

const contentType = 'application/json';

/**
 * Signs a delivery's method, URL, body and time (RFC 9421, with the digest from RFC 9530). Receivers refuse an old
 * `created`, so that a recorded delivery cannot be replayed.
 *
 * @param keys One key, or two during a rotation. `sig1` uses the newer key.
 * @returns The request headers.
 */
export function signDelivery(
  delivery: Readonly<{ url: string; body: Buffer; createdSec: number }>,
  keys: readonly WebhookKey[],
): Readonly<Record<string, string>> {
  const digest = `sha-256=:${createHash('sha256').update(delivery.body).digest('base64')}:`;
  const values = {
    '@method': 'POST',
    '@target-uri': delivery.url,
    'content-digest': digest,
    'content-type': contentType,
  };
  const inputs: string[] = [];
  const signatures: string[] = [];
  keys.forEach((key, at) => {
    const names = components.map((name) => `"${name}"`).join(' ');
    const params = `(${names});created=${delivery.createdSec};keyid="${key.keyid}";alg="${key.algorithm}";tag="${webhookTag}"`;
    const lines = components.map((name) => `"${name}": ${values[name]}\n`);
    const base = `${lines.join('')}"@signature-params": ${params}`;
    inputs.push(`sig${at + 1}=${params}`);
    signatures.push(`sig${at + 1}=:${signBase(key, base).toString('base64')}:`);
  });
  return {
    'content-type': contentType,
    'content-digest': digest,
    'signature-input': inputs.join(', '),
    signature: signatures.join(', '),
  };
}

function signBase(key: WebhookKey, base: string): Buffer {
  const bytes = Buffer.from(base, 'latin1');
  return key.algorithm === 'ed25519'
    ? sign(null, bytes, key.privateKey)
    : createHmac('sha256', key.secret).update(bytes).digest();
}

export type WebhookKeys = ReturnType<typeof webhookKeys>;

/**
 * Derives all webhook keys from the service's master secret (RFC 5869). The database contains none of these keys, so a
 * stolen database or backup is not enough to forge a delivery.
 *
 * @param master At least 32 bytes, the same for all instances.
 */
export function webhookKeys(master: Buffer) {
  const derive = (...info: string[]) =>
    Buffer.from(hkdfSync('sha256', master, '', JSON.stringify(['countersign-webhook-v1', ...info]), 32));
  const privateKey = ed25519FromSeed(derive('ed25519'));
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  const kid = thumbprint(x);
  return {
    /** Signs deliveries to webhooks without a secret. The public key is published. */
    ed25519: { algorithm: 'ed25519', keyid: kid, privateKey } as WebhookKey,
    /** The public key as receivers fetch it (RFC 8037). */
    published: { kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' },
    /** A webhook's current or previous secret. Shown to administrators as base64url. */
    secret: ({ tenantId, id, version }: Readonly<{ tenantId: string; id: string; version: number }>) => ({
      algorithm: 'hmac-sha256' as const,
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
