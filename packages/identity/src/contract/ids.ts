import { randomFillSync } from 'node:crypto';

/** Returns a function that cuts random text from a pool, which one system call fills for about 200 ids. */
function createRandomText(encoding: 'hex' | 'base64url'): (length: number) => string {
  const bytes = Buffer.alloc(3072);
  let text = '';
  let used = 0;
  return (length) => {
    if (used + length > text.length) {
      text = randomFillSync(bytes).toString(encoding);
      used = 0;
    }
    used += length;
    return text.slice(used - length, used);
  };
}

const randomBase64url = createRandomText('base64url');
const randomHex = createRandomText('hex');

/** Returns a nonce: 132 random bits in base64url. */
export function newNonce(): string {
  return randomBase64url(22);
}

let lastMs = -1;
let lastTime = '';

/** Returns a UUIDv7 (RFC 9562 section 5.7). */
export function newRequestId(nowMs: number = Date.now()): string {
  if (nowMs !== lastMs) {
    const time = nowMs.toString(16).padStart(12, '0');
    lastTime = `${time.slice(0, 8)}-${time.slice(8)}`;
    lastMs = nowMs;
  }
  const random = randomHex(19);
  // The variant: maps each random digit to one of 8, 9, a and b.
  const variant = '89ab'[Number.parseInt(random.charAt(3), 16) & 3];
  return `${lastTime}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7)}`;
}
