import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyRing, SecretKey } from '../keys/key-ring.ts';

/** A refresh token. Ids are lower-case UUIDs. */
export type RefreshToken = Readonly<{ tenantId: string; sessionId: string; counter: number; random: Buffer }>;

const version = 1;
const uuidBytes = 16;
const counterBytes = 4;
const randomBytes = 32;
const macBytes = 32;

/**
 * Encodes `version | key id length | key id | tenant | session | counter | random | HMAC-SHA256(key, all before)` in
 * base64url. The MAC is checked before any query, and makes reuse detectable at any age.
 *
 * @param token `random` must have 32 bytes, and `counter` must fit in 32 bits.
 */
export function encodeRefreshToken(token: RefreshToken, key: SecretKey): string {
  const keyId = Buffer.from(key.id, 'latin1');
  const counter = Buffer.alloc(counterBytes);
  counter.writeUInt32BE(token.counter);
  const body = Buffer.concat([
    Buffer.from([version, keyId.length]),
    keyId,
    fromUuid(token.tenantId),
    fromUuid(token.sessionId),
    counter,
    token.random,
  ]);
  return Buffer.concat([body, macOf(key.bytes, body)]).toString('base64url');
}

/** @returns undefined unless we issued this exact text with a key that is still configured. */
export function decodeRefreshToken(text: string, keys: KeyRing): RefreshToken | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text || bytes[0] !== version) return undefined;
  const idEnd = 2 + (bytes[1] ?? 0);
  if (bytes.length !== idEnd + 2 * uuidBytes + counterBytes + randomBytes + macBytes) return undefined;
  const key = keys.find(bytes.toString('latin1', 2, idEnd));
  const body = bytes.subarray(0, -macBytes);
  if (key === undefined || !timingSafeEqual(macOf(key, body), bytes.subarray(-macBytes))) return undefined;
  const counterAt = idEnd + 2 * uuidBytes;
  return {
    tenantId: toUuid(bytes.subarray(idEnd, idEnd + uuidBytes)),
    sessionId: toUuid(bytes.subarray(idEnd + uuidBytes, counterAt)),
    counter: bytes.readUInt32BE(counterAt),
    random: bytes.subarray(counterAt + counterBytes, -macBytes),
  };
}

const macOf = (key: Uint8Array, body: Uint8Array): Buffer => createHmac('sha256', key).update(body).digest();

function fromUuid(id: string): Buffer {
  const bytes = Buffer.from(id.replaceAll('-', ''), 'hex');
  if (toUuid(bytes) !== id) throw new RangeError('an id in a refresh token must be a lower-case UUID');
  return bytes;
}

function toUuid(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
