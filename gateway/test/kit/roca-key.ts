import { checkPrimeSync, createPrivateKey, type KeyObject, randomBytes, randomInt, type webcrypto } from 'node:crypto';

/** A 2048-bit RSA key with the weakness of CVE-2017-15361: it works, but can be factored. */
export function rocaKey(): KeyObject {
  const product = primorial(126);
  const [p, q] = [rocaPrime(product), rocaPrime(product)];
  const e = 65_537n;
  const d = inverse(e, (p - 1n) * (q - 1n));
  const jwk: webcrypto.JsonWebKey = { kty: 'RSA', e: 'AQAB' };
  const members = { n: p * q, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
  for (const [name, value] of Object.entries(members)) jwk[name as 'n'] = base64url(value);
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

/** `k * M + (65537^a mod M)` of 1024 bits: two such make a modulus of 2047 or 2048. */
function rocaPrime(product: bigint): bigint {
  const bits = 1024;
  const least = (3n << BigInt(bits - 2)) / product;
  for (;;) {
    const k = least + (BigInt(`0x${randomBytes(6).toString('hex')}`) % (least / 8n));
    const candidate = k * product + power(65_537n, BigInt(randomInt(1, 2 ** 40)), product);
    if (candidate.toString(2).length === bits && checkPrimeSync(candidate)) return candidate;
  }
}

function primorial(count: number): bigint {
  const primes: bigint[] = [];
  for (let number = 2n; primes.length < count; number += 1n) {
    if (primes.every((prime) => number % prime !== 0n)) primes.push(number);
  }
  return primes.reduce((product, prime) => product * prime, 1n);
}

function power(base: bigint, exponent: bigint, modulo: bigint): bigint {
  let result = 1n;
  for (let [square, left] = [base % modulo, exponent]; left > 0n; left >>= 1n) {
    if (left % 2n === 1n) result = (result * square) % modulo;
    square = (square * square) % modulo;
  }
  return result;
}

/** The modular inverse, by the extended Euclidean algorithm. */
function inverse(value: bigint, modulo: bigint): bigint {
  let [a, b, x, y] = [value % modulo, modulo, 1n, 0n];
  while (b !== 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y];
  return ((x % modulo) + modulo) % modulo;
}

function base64url(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex').toString('base64url');
}
