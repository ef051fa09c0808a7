import { type KeyObject, sign } from 'node:crypto';
import type { Shape } from './shapes.ts';

const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const signed = (input: string, key: KeyObject) => sign(null, Buffer.from(input), key);

const made = (name: string, make: (r: Buffer, s: Buffer) => Buffer): Shape => [
  name,
  (input, key) => {
    const signature = signed(input, key);
    return make(signature.subarray(0, 32), signature.subarray(32));
  },
];

const neutral = Buffer.from(`01${'00'.repeat(31)}`, 'hex');
const orderTwo = Buffer.from(`ec${'ff'.repeat(30)}7f`, 'hex');
const neutralRespelled = Buffer.from(`ee${'ff'.repeat(30)}7f`, 'hex');
const zero = Buffer.alloc(32);

/** Signatures that must be refused: cases from Wycheproof's EdDSA file. */
export const eddsaShapes: readonly Shape[] = [
  made('s plus the order', (r, s) => Buffer.concat([r, number(numberOf(s) + order)])),
  made('s plus eight times the order', (r, s) => Buffer.concat([r, number(numberOf(s) + 8n * order)])),
  made('s negated', (r, s) => Buffer.concat([r, number(order - numberOf(s))])),
  made('s is 0', (r) => Buffer.concat([r, zero])),
  made('s is the order', (r) => Buffer.concat([r, number(order)])),
  made('s is the largest', (r) => Buffer.concat([r, Buffer.alloc(32, 0xff)])),
  made('the sign of r changed', (r, s) => Buffer.concat([r.subarray(0, 31), Buffer.from([(r[31] ?? 0) ^ 0x80]), s])),
  ...[neutral, orderTwo, neutralRespelled, zero, Buffer.alloc(32, 0xff)].flatMap((point) => [
    made(`r is ${point.toString('hex', 0, 2)}..., the right s`, (_r, s) => Buffer.concat([point, s])),
    made(`r is ${point.toString('hex', 0, 2)}..., s is 0`, () => Buffer.concat([point, zero])),
  ]),
  made('r and s exchanged', (r, s) => Buffer.concat([s, r])),
  made('r twice', (r) => Buffer.concat([r, r])),
  made('r alone', (r) => r),
  made('a byte short', (r, s) => Buffer.concat([r, s]).subarray(0, -1)),
  made('a byte more', (r, s) => Buffer.concat([r, s, Buffer.alloc(1)])),
  made('a byte more in front', (r, s) => Buffer.concat([Buffer.alloc(1), r, s])),
  made('bytes in reverse', (r, s) => Buffer.concat([r, s]).reverse()),
  ['zeros', () => Buffer.alloc(64)],
  ['over the payload alone', (input, key) => signed(input.split('.')[1] ?? '', key)],
];

function numberOf(littleEndian: Buffer): bigint {
  return BigInt(`0x${Buffer.from(littleEndian).reverse().toString('hex')}`);
}

function number(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();
}
