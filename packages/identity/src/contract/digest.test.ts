import { expect, test } from '@jest/globals';
import { contentDigest, emptyContentDigest } from './digest.ts';
import { sha256Digest } from './grammar.ts';

test.each([
  // RFC 9530 appendix B.1, B.2 (gzip bytes) and B.3.
  ['{"hello": "world"}\n', 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:'],
  ['', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'],
  // RFC 9421 section 2.5 uses sha-512 for this one; its SHA-256 is in RFC 9530 section 2.
  ['{"hello": "world"}', 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'],
])('digest of %j', (body, digest) => {
  expect(contentDigest(Buffer.from(body))).toBe(digest);
  expect(sha256Digest.matches(digest)).toBe(true);
});

test('digest of an empty body', () => {
  expect(emptyContentDigest).toBe('sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:');
});

const good = emptyContentDigest;
test.each([
  '',
  'sha-256',
  'sha-256=',
  'sha-256=::',
  good.replace('=:', '='),
  good.slice(0, -1),
  `${good}, ${good}`,
  `${good};p=1`,
  good.replace('sha-256', 'SHA-256'),
  good.replace('sha-256', 'sha-512'),
  good.replace('sha-256', 'md5'),
  good.replace('sha-256', 'unixsum'),
  good.replace('FU=', 'FV='),
  good.replace('+/', '-_'),
  ` ${good}`,
  `${good}, sha-512=:AAAA:`,
])('refuses the digest %j', (value) => {
  expect(sha256Digest.matches(value)).toBe(false);
});
