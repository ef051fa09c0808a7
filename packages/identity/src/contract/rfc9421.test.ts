import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { signatureBytes } from './grammar.ts';
import {
  componentLine,
  componentList,
  parseSignatureInput,
  serializeParams,
  signatureBase,
  signBase,
  verifyBase,
} from './rfc9421.ts';

/** The published test keys of RFC 9421 appendix B.1.4 and B.1.5. */
const privateKey = createPrivateKey({
  key: {
    kty: 'OKP',
    crv: 'Ed25519',
    d: 'n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU',
    x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs',
  },
  format: 'jwk',
});
const ed25519 = {
  signing: { algorithm: 'ed25519', keyid: 'test-key-ed25519', privateKey },
  verifying: { algorithm: 'ed25519', publicKey: createPublicKey(privateKey) },
} as const;
const secret = Buffer.from(
  'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
  'base64',
);
const hmac = {
  signing: { algorithm: 'hmac-sha256', keyid: 'test-shared-secret', secret },
  verifying: { algorithm: 'hmac-sha256', secret },
} as const;

type Part = readonly [name: string, value: string];

/** B.2: the test request. */
const request: Record<string, string> = {
  date: 'Tue, 20 Apr 2021 02:07:55 GMT',
  '@method': 'POST',
  '@path': '/foo',
  '@authority': 'example.com',
  'content-type': 'application/json',
  'content-length': '18',
};

const cases = [
  {
    id: 'B.2.5',
    key: hmac,
    covered: ['date', '@authority', 'content-type'],
    params: ';created=1618884473;keyid="test-shared-secret"',
    signature: 'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
  },
  {
    id: 'B.2.6',
    key: ed25519,
    covered: ['date', '@method', '@path', '@authority', 'content-type', 'content-length'],
    params: ';created=1618884473;keyid="test-key-ed25519"',
    signature: 'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==',
  },
] as const;

function base(parts: readonly Part[], params: string): string {
  const lines = parts.map(([name, value]) => `${componentLine(name, value)}\n`).join('');
  return signatureBase(lines, componentList(parts.map(([name]) => name)) + params);
}

describe.each(cases)('RFC 9421 appendix $id', ({ key, covered, params, signature }) => {
  const text = base(
    covered.map((name): Part => [name, request[name] ?? '']),
    params,
  );
  const bytes = Buffer.from(signature, 'base64');

  test('signs to the published bytes', () => {
    expect(signBase(key.signing, text).toString('base64')).toBe(signature);
  });

  test('verifies', () => {
    expect(verifyBase(key.verifying, text, bytes)).toBe(true);
  });

  test('fails with any one bit of the base or the signature flipped', () => {
    const original = Buffer.from(text, 'latin1');
    for (let bit = 0; bit < original.length * 8; bit += 1) {
      const changed = Buffer.from(original);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(verifyBase(key.verifying, changed.toString('latin1'), bytes)).toBe(false);
    }
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(verifyBase(key.verifying, text, changed)).toBe(false);
    }
  });
});

describe('RFC 9421 appendix B.4: what a proxy may change', () => {
  const params = ';created=1618884473;keyid="test-key-ed25519"';
  const signature = Buffer.from(
    'ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==',
    'base64',
  );
  const parts = (over: Record<string, string> = {}): Part[] =>
    Object.entries({
      '@method': 'GET',
      '@path': '/demo',
      '@authority': 'example.org',
      accept: 'application/json, */*',
      ...over,
    });

  test.each<[string, Part[], boolean]>([
    ['an added query parameter and header, neither covered', parts(), true],
    [
      'a changed uncovered header and joined lines of a covered header',
      parts({ accept: ['application/json', '*/*'].join(', ') }),
      true,
    ],
    ['headers in another order', parts(), true],
    ['another method and authority', parts({ '@method': 'POST', '@authority': 'example.com' }), false],
    ["a covered header's values in another order", parts({ accept: '*/*, application/json' }), false],
  ])('%s', (_name, changed, valid) => {
    expect(verifyBase(ed25519.verifying, base(changed, params), signature)).toBe(valid);
  });
});

test('serializes parameters in a fixed order and parses them', () => {
  const params = {
    createdSec: 1,
    expiresSec: 31,
    nonce: 'n'.repeat(22),
    keyid: 'k',
    algorithm: 'ed25519',
    tag: 't',
  } as const;
  const raw = serializeParams('("@method" "x")', params);
  expect(raw).toBe(`("@method" "x");created=1;expires=31;nonce="${'n'.repeat(22)}";keyid="k";alg="ed25519";tag="t"`);
  expect(parseSignatureInput(`countersign=${raw}`)).toEqual({ ...params, list: '("@method" "x")', raw });
});

test.each([
  '',
  'countersign=',
  'countersign=::',
  'countersign=:AAAA:',
  'countersign=AAAA',
  'sig=:AAAA:',
  `countersign=:${'A'.repeat(43)}=:, b=:AA==:`,
  `countersign=:${'A'.repeat(42)}B=:`,
])('refuses the signature %j', (value) => {
  expect(signatureBytes(value)).toBeUndefined();
});

test('refuses to sign with a secret under 32 bytes', () => {
  expect(() => signBase({ algorithm: 'hmac-sha256', keyid: 'k', secret: Buffer.alloc(31) }, 'x')).toThrow(RangeError);
  const exact = Buffer.alloc(32, 1);
  expect(signBase({ algorithm: 'hmac-sha256', keyid: 'k', secret: exact }, 'x')).toEqual(
    createHmac('sha256', exact).update('x').digest(),
  );
});
