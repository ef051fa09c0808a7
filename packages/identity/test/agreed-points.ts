import { hex, thumbprint } from './agreed-forge.ts';

/** 32 bytes, least significant first. */
const little = (value: bigint) => hex(value.toString(16).padStart(64, '0')).reverse();
const prime = 2n ** 255n - 19n;
const top = 2n ** 255n;

/** Every 32-byte encoding of a low-order point, and the point itself. */
const lowOrder: readonly bigint[] = [
  0n,
  1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
  prime - 1n,
];

const nonCanonical: Readonly<Record<string, bigint>> = {
  'p, which is 0': prime,
  'p + 1, which is 1': prime + 1n,
  'p + 9, which is the base point': prime + 9n,
  'the largest value of 255 bits': top - 1n,
  '0 with the top bit set': top,
  '1 with the top bit set': top + 1n,
  'the base point with the top bit set': top + 9n,
  'p - 1 with the top bit set': top + prime - 1n,
  'every bit set': 2n * top - 1n,
};

export type Point = Readonly<{ name: string; bytes: Buffer; refused: 'weak' | 'malformed' }>;

/** Public values that must not be used. */
export const badPoints: readonly Point[] = [
  ...lowOrder.map((value, index) => ({
    name: `a point of low order (${index + 1} of ${lowOrder.length})`,
    bytes: little(value),
    refused: 'weak' as const,
  })),
  ...Object.entries(nonCanonical).map(([name, value]) => ({
    name: `a value that is not canonical: ${name}`,
    bytes: little(value),
    refused: 'malformed' as const,
  })),
];

/** A public JWK with these bytes, otherwise valid. */
export function jwkOfPoint(bytes: Uint8Array): Record<string, string> {
  const x = Buffer.from(bytes).toString('base64url');
  return { kty: 'OKP', crv: 'X25519', use: 'enc', alg: 'countersign-agreed-v1', kid: thumbprint(x), x };
}
