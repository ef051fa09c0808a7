import { createHash, createHmac, type KeyObject, sign } from 'node:crypto';

/** A key that signs deliveries. `hmac-sha256` uses a secret that the receiver also has. */
export type WebhookKey = Readonly<
  | { algorithm: 'ed25519'; keyid: string; privateKey: KeyObject }
  | { algorithm: 'hmac-sha256'; keyid: string; secret: Buffer }
>;

/** Identifies the purpose, so that signatures of other protocols are not accepted (RFC 9421 section 7.3.2). */
export const webhookTag = 'countersign-webhook';

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
