import { createECDH, createHash, createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { ed25519Jwk, type Message, nonce, nowSec } from './forge.ts';

/** The P-256 keys of RFC 6979 appendix A.2.5 and of RFC 7515 appendix A.3, which everybody has. */
export const tokenJwks = [
  {
    kty: 'EC',
    crv: 'P-256',
    x: 'YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y',
    y: 'eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk',
    d: 'ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE',
    kid: 'vectors-token-1',
    alg: 'ES256',
    use: 'sig',
  },
  {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
    kid: 'vectors-token-2',
    alg: 'ES256',
    use: 'sig',
  },
] as const;
type TokenJwk = (typeof tokenJwks)[number];

export const publicTokenJwk = ({ d: _private, ...jwk }: TokenJwk) => jwk;

/** The order of P-256. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const bytesOf = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n, square = (square * square) % order) {
    if (rest & 1n) result = (result * square) % order;
  }
  return result;
}

/** RFC 6979 section 3.2: the number that a signature needs, from the key and the hash. */
function secretNumber(key: Buffer, hashed: Buffer): Buffer {
  let k: Buffer = Buffer.alloc(32);
  let v: Buffer = Buffer.alloc(32, 1);
  const mac = (...parts: Uint8Array[]) => createHmac('sha256', k).update(Buffer.concat(parts)).digest();
  for (const separator of [0, 1]) {
    k = mac(v, Buffer.of(separator), key, bytesOf(numberOf(hashed) % order));
    v = mac(v);
  }
  return mac(v);
}

/** ES256 with the same signature each time, so that the vectors do not change. */
export function signEs256({ d }: Pick<TokenJwk, 'd'>, text: string): Buffer {
  const key = Buffer.from(d, 'base64url');
  const hashed = createHash('sha256').update(text).digest();
  const secret = secretNumber(key, hashed);
  const point = createECDH('prime256v1');
  point.setPrivateKey(secret);
  const r = numberOf(point.getPublicKey().subarray(1, 33)) % order;
  const s = (power(numberOf(secret), order - 2n) * (numberOf(hashed) + r * numberOf(key))) % order;
  return Buffer.concat([bytesOf(r), bytesOf(s)]);
}

export type Claims = Readonly<Record<string, unknown>>;

export const issuer = 'https://gateway.internal:8090/complaint-service';

const times = { iat: nowSec, nbf: nowSec, exp: nowSec + 30 };
const audienceOf = { iss: issuer, aud: 'complaint-service' };

export const userClaims = {
  ...audienceOf,
  sub: 'u-1',
  idp: 'https://issuer.example',
  user_id: 'u-1',
  role: 'agent',
  tenant_id: 'acme',
  caller: 'user',
  client_id: 'web',
  scope: 'orders.read orders.write',
  sid: 's-1',
  act: { sub: 'client-2', iss: 'https://issuer.example' },
  auth_time: nowSec - 1000,
  amr: ['pwd', 'otp'],
  jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
  department: 'sales',
  ...times,
};
export const clientClaims = {
  ...audienceOf,
  sub: 'client:client-1',
  idp: 'https://issuer.example',
  caller: 'client',
  client_id: 'client-1',
  ...times,
};
export const serviceClaims = { ...audienceOf, sub: 'service:users-service', caller: 'service', ...times };

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
export const tokenHeader = { alg: 'ES256', typ: 'JWT', kid: 'vectors-token-1' };

/** @param header An object, or the text of one, like the claims. */
export function tokenOf(
  claims: unknown,
  header: unknown = tokenHeader,
  signed: (text: string) => Uint8Array = (text) => signEs256(tokenJwks[0], text),
): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${Buffer.from(signed(text)).toString('base64url')}`;
}

export const signedBy = {
  another: (text: string) => signEs256(tokenJwks[1], text),
  ed25519: (text: string) => sign(null, Buffer.from(text), createPrivateKey({ key: ed25519Jwk, format: 'jwk' })),
  /** The public key, as a service has it in a file, as the secret of HS256. */
  hs256(text: string) {
    const pem = createPublicKey({ key: tokenJwks[0], format: 'jwk' }).export({ format: 'pem', type: 'spki' });
    return createHmac('sha256', pem).update(text).digest();
  },
};

/** What a token says about its request: `req` and `jti`. */
export function bindingTo({ method, target, headers, body }: Message, isStream = false): Claims {
  const headerOf = (name: string) => headers.find(([known]) => known === name)?.[1];
  const isDigested = !isStream && method !== 'GET' && method !== 'HEAD';
  const req = {
    m: method,
    t: target,
    d: isDigested ? createHash('sha256').update(body).digest('base64url') : undefined,
    c: isDigested ? headerOf('content-type') : undefined,
    u: headerOf('upgrade'),
    k: headerOf('sec-websocket-key'),
  };
  return { jti: nonce, req };
}
