import { createHmac, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Delivery } from './event-body.ts';
import { isBearer, isOneOf } from './push.ts';
import { EventTokenError } from './signed-token.ts';

/**
 * How a delivery is authenticated.
 *
 * - `standard`: Standard Webhooks, with `webhook-` or `svix-` headers, `v1` (HMAC) and `v1a` (Ed25519).
 * - `hmac`: a header with an HMAC-SHA256 of the body. With a time, the header is `t=<time>,v1=<hex>` and the HMAC is of
 *   `<time>.<body>`.
 * - `bearer`: `Authorization: Bearer <secret>`.
 */
export type WebhookProof =
  | Readonly<{ kind: 'standard' }>
  | Readonly<{
      kind: 'hmac';
      header: string;
      encoding: 'hex' | 'base64';
      prefix: string;
      time: 'none' | 'seconds' | 'milliseconds';
    }>
  | Readonly<{ kind: 'bearer' }>;

/** What the signature covers besides the body. */
export type ProvedDelivery = Readonly<{ id?: string; signedAtMs?: number }>;

/** How much the signed time may differ from now. */
export const webhookWindowMs = 300_000;
const maxSignatures = 16;

/**
 * Authenticates a delivery by any of the secrets, before its body is parsed.
 *
 * @param nowMs Undefined accepts any signed time, to examine a recorded delivery.
 * @throws EventTokenError `authentication_failed`
 */
export function proveWebhook(
  proof: WebhookProof,
  delivery: Delivery,
  secrets: readonly Uint8Array[],
  nowMs: number | undefined,
): ProvedDelivery {
  const proved = proofs[proof.kind](proof as never, delivery, secrets);
  if (proved === undefined) throw new EventTokenError('authentication_failed', 'another secret, or no valid signature');
  const { signedAtMs } = proved;
  if (signedAtMs !== undefined && nowMs !== undefined && Math.abs(nowMs - signedAtMs) > webhookWindowMs)
    throw new EventTokenError('authentication_failed', 'signed more than five minutes ago, or in the future');
  return proved;
}

type Prove<Kind> = (
  proof: Extract<WebhookProof, { kind: Kind }>,
  delivery: Delivery,
  secrets: readonly Uint8Array[],
) => ProvedDelivery | undefined;

const proofs: { readonly [Kind in WebhookProof['kind']]: Prove<Kind> } = {
  standard(_, { header, body }, secrets) {
    const family = header('svix-id') === undefined ? 'webhook' : 'svix';
    const [id = '', time = '', list = ''] = ['id', 'timestamp', 'signature'].map((name) => header(`${family}-${name}`));
    // A dot would move the border between the id and the time.
    if (!/^[!-\-/-~]{1,256}$/.test(id) || !/^\d{1,12}$/.test(time)) return undefined;
    const signed = Buffer.concat([Buffer.from(`${id}.${time}.`), body]);
    const signatures = list.split(' ').slice(0, maxSignatures);
    const keys = secrets.flatMap((secret) => standardKey(secret) ?? []);
    const proved = keys.flatMap((key) => signatures.map((signature) => isStandard(signature, key, signed)));
    return proved.includes(true) ? { id, signedAtMs: Number(time) * 1000 } : undefined;
  },
  hmac({ header: name, encoding, prefix, time }, { header, body }, secrets) {
    const value = header(name) ?? '';
    const macsOf = (signed: Uint8Array) =>
      secrets.map((secret) => Buffer.from(createHmac('sha256', secret).update(signed).digest(encoding)));
    if (time === 'none') {
      const mac = value.startsWith(prefix) ? value.slice(prefix.length) : '';
      return isOneOf(Buffer.from(mac), macsOf(body)) ? {} : undefined;
    }
    const pairs = value.split(/, */, maxSignatures).map((pair) => pair.split('='));
    const [t = '', ...moreTimes] = pairs.flatMap(([key, text = '']) => (key === 't' ? [text] : []));
    if (!/^\d{1,15}$/.test(t) || moreTimes.length > 0) return undefined;
    const macs = macsOf(Buffer.concat([Buffer.from(`${t}.`), body]));
    const given = pairs.flatMap(([key, text = '']) => (key === 'v1' ? [Buffer.from(text)] : []));
    if (!given.map((mac) => isOneOf(mac, macs)).includes(true)) return undefined;
    return { signedAtMs: Number(t) * (time === 'seconds' ? 1000 : 1) };
  },
  bearer: (_, { header }, secrets) => (isBearer(header('authorization'), secrets) ? {} : undefined),
};

/**
 * Reads a secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64, or `whpk_` and an Ed25519 public key.
 *
 * @returns Undefined if it is neither.
 */
export function standardKey(secret: Uint8Array): Buffer | KeyObject | undefined {
  const [, kind, base64 = ''] = /^(whsec|whpk)_([A-Za-z0-9+/]+={0,2})$/.exec(Buffer.from(secret).toString()) ?? [];
  const bytes = Buffer.from(base64, 'base64');
  if (kind === 'whsec' && bytes.length >= 24 && bytes.length <= 64) return bytes;
  if (kind !== 'whpk' || bytes.length !== 32) return undefined;
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') }, format: 'jwk' });
}

function isStandard(signature: string, key: Buffer | KeyObject, signed: Buffer): boolean {
  const [version, base64 = ''] = signature.split(',');
  if (Buffer.isBuffer(key)) {
    const mac = Buffer.from(createHmac('sha256', key).update(signed).digest('base64'));
    return isOneOf(Buffer.from(version === 'v1' ? base64 : ''), [mac]);
  }
  return version === 'v1a' && verify(null, signed, key, Buffer.from(base64, 'base64'));
}
