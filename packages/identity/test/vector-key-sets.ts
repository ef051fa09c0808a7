import { gatewayJwks } from './agreed-forge.ts';
import { publicJwk } from './forge.ts';

export type KeySetVector = Readonly<{ name: string; jwks: unknown; usable: readonly string[] }>;

const good = { ...publicJwk, kid: 'good' };
const odd = { ...publicJwk, kid: 'odd' };
/** A set that contains a valid entry and these. */
const beside = (name: string, ...entries: unknown[]): KeySetVector => ({
  name,
  jwks: { keys: [good, ...entries] },
  usable: ['good'],
});
/** y = p + more, and the sign of x. RFC 8032 section 5.1.3 decodes none of these. */
const beyondField = (more: number, sign: 0 | 0x80) => {
  const bytes = Buffer.alloc(32, 0xff);
  bytes.writeUInt8(0xed + more, 0);
  bytes.writeUInt8(0x7f | sign, 31);
  return bytes.toString('base64url');
};

/**
 * Key sets as a verifier fetches them, and the kids of the usable keys. None means that the set is refused as a whole.
 */
export const keySetVectors: readonly KeySetVector[] = [
  beside('one key'),
  { name: 'other members of the set', jwks: { keys: [good], issuer: 'x', expires: null }, usable: ['good'] },
  { name: 'a second key', jwks: { keys: [good, odd] }, usable: ['good', 'odd'] },
  ...['use', 'alg', 'key_ops', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].map((member) =>
    beside(`a null is a value: ${member}`, { ...odd, [member]: null }),
  ),
  ...['kty', 'crv', 'x'].map((member) => beside(`${member} is null`, { ...odd, [member]: null })),
  ...[null, 7, true, [], {}].map((kid) => beside(`a kid that is ${JSON.stringify(kid)}`, { ...odd, kid })),
  ...['', 'a b', 'a\n', '\u007f', 'é', 'k'.repeat(257)].map((kid) =>
    beside(`a kid outside of its grammar: ${JSON.stringify(kid).slice(0, 20)}`, { ...odd, kid }),
  ),
  { name: 'a kid of 256 characters', jwks: { keys: [{ ...odd, kid: '!~'.repeat(128) }] }, usable: ['!~'.repeat(128)] },
  ...[null, 7, true, 'text', [], [odd], {}].map((entry) => beside(`an entry that is ${JSON.stringify(entry)}`, entry)),
  ...[2, 3, 9, 18].flatMap((more) =>
    ([0, 0x80] as const).map((sign) =>
      beside(`y is 2^255 - 19 + ${more}, ${sign === 0 ? 'no sign' : 'a sign'}`, { ...odd, x: beyondField(more, sign) }),
    ),
  ),
  beside('a kid twice', odd, odd),
  beside('a kid twice, once without a type', odd, { kid: 'odd' }),
  beside('a kid twice, once with its private half', odd, { ...odd, d: 'AA' }),
  { name: '100 entries', jwks: { keys: [good, ...Array.from({ length: 99 }, () => ({}))] }, usable: ['good'] },
  { name: '101 entries', jwks: { keys: [good, ...Array.from({ length: 100 }, () => ({}))] }, usable: [] },
  { name: 'only a key for agreement', jwks: { keys: gatewayJwks.map(({ d: _d, ...jwk }) => jwk) }, usable: [] },
  { name: 'no usable key', jwks: { keys: [{ ...odd, use: 'enc' }] }, usable: [] },
  ...[{ keys: [] }, {}, { keys: null }, { keys: { 0: good } }, [good], null, 'text', 7].map((jwks) => ({
    name: `no key set: ${JSON.stringify(jwks).slice(0, 20)}`,
    jwks,
    usable: [],
  })),
];
