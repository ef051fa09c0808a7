import { randomFillSync } from 'node:crypto';

/** Random bytes come from a pool: one system call fills it for 256 ids. */
const pool = Buffer.alloc(4096);
let used = pool.length;

function next16Bytes(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 16;
  return pool.subarray(used - 16, used);
}

/** Returns a nonce: 128 random bits in base64url. */
export function newNonce(): string {
  return next16Bytes().toString('base64url');
}

/** Returns a UUIDv7 (RFC 9562 section 5.7). */
export function newRequestId(nowMs: number = Date.now()): string {
  const bytes = next16Bytes();
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
