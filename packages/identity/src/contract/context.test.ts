import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ContextTooLong, parseContext, serializeContext } from './context.ts';
import type { IdentityContext } from './identity.ts';

const id = fc.stringMatching(/^[A-Za-z0-9._~:@|-]{1,128}$/);
const url = fc.webUrl().filter((text) => text.length <= 512);
const names = (name: RegExp) => fc.uniqueArray(fc.stringMatching(name), { minLength: 1, maxLength: 6 });
const context: fc.Arbitrary<Omit<IdentityContext, 'ip'>> = fc.record(
  {
    iss: url,
    sid: id,
    authTime: fc.integer({ min: 0, max: 9_999_999_999 }),
    amr: fc.array(fc.stringMatching(/^[A-Za-z0-9._:-]{1,64}$/), { minLength: 1, maxLength: 5 }),
    jkt: fc.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    client: id,
    scope: names(/^[!#-[\]-~]{1,128}$/),
    roles: names(/^[a-z0-9_-]{1,64}$/),
    act: fc.record({ sub: fc.stringMatching(/^[!#-[\]-~]{1,255}$/), iss: url }),
  },
  { requiredKeys: [] },
);
const address = fc.option(fc.oneof(fc.ipV4(), fc.ipV6()), { nil: undefined });

/** Adds the address as the signer does. */
const contextWithAddress = (ip: string | undefined, rest: string) =>
  ip === undefined ? rest : `ip="${ip}"${rest && `, ${rest}`}`;

/** The text, and its meaning. Omits contexts that are too long. */
const serialized = fc.tuple(context, address).chain(([claims, ip]) => {
  const said = ip === undefined ? claims : { ip, ...claims };
  try {
    return fc.constant({ said, text: contextWithAddress(ip, serializeContext(claims)) });
  } catch (error) {
    expect(error).toBeInstanceOf(ContextTooLong);
    return fc.constant({ said: {}, text: '' });
  }
});

test('parses what it serializes', () => {
  fc.assert(
    fc.property(serialized, ({ said, text }) => {
      expect(parseContext(text)).toEqual(said);
      expect(text.length).toBeLessThanOrEqual(2048);
    }),
    { numRuns: 300 },
  );
});

test('a changed text is refused or says something else, unless only spaces differ', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ';iss="i"',
      ', ',
      '("',
      '" "',
      '")',
      'scope=("a")',
      'act="a"',
      '"',
      ';',
      '(',
      ')',
      ',',
      '=',
      ' ',
      '\\',
      '\t',
    ),
    fc.string({ maxLength: 3 }),
  );
  const change = fc.tuple(fc.nat(), fc.nat({ max: 3 }), piece);
  fc.assert(
    fc.property(serialized, change, ({ said, text }, [place, removed, added]) => {
      const at = place % (text.length + 1);
      const changed = text.slice(0, at) + added + text.slice(at + removed);
      const bare = (one: string) => one.replaceAll(' ', '');
      const parsed = parseContext(changed);
      if (bare(changed) === bare(text)) return;
      if (parsed !== undefined) expect(parsed).not.toEqual(said);
    }),
    { numRuns: 2_000 },
  );
});

test('serializes members in a fixed order', () => {
  const token = { act: { iss: 'https://b', sub: 'https://c' }, roles: ['x', 'y'], scope: ['a:b', 'A;B'], client: 'c' };
  const claims = { ...token, jkt: 'A'.repeat(43), amr: ['pwd', 'otp'], authTime: 7, sid: 's', iss: 'https://a' };
  expect(contextWithAddress('::1', serializeContext(claims))).toBe(
    `ip="::1", iss="https://a", sid="s", auth-time=7, amr=("pwd" "otp"), jkt="${'A'.repeat(43)}", client="c", ` +
      'scope=("a:b" "A;B"), roles=("x" "y"), act="https://c";iss="https://b"',
  );
});

test('serializes no claims as an empty dictionary', () => {
  expect(contextWithAddress(undefined, serializeContext({ amr: [], scope: [], roles: [] }))).toBe('');
  expect(parseContext('')).toEqual({});
});

test.each([
  { iss: 'a"b' },
  { iss: 'a\\b' },
  { iss: 'a b' },
  { iss: '' },
  { iss: 'é' },
  { iss: 'a\r\nb' },
  { sid: 'a b' },
  { sid: '' },
  { authTime: 1.5 },
  { authTime: -1 },
  { authTime: Number.NaN },
  { amr: ['a b'] },
  { amr: [''] },
  { amr: Array.from({ length: 17 }, () => 'pwd') },
  { jkt: 'short' },
  { client: '' },
  { client: 'https://app.example/client' },
  { scope: [''] },
  { scope: ['a b'] },
  { scope: ['a"b'] },
  { scope: ['a\\b'] },
  { scope: ['caf\u00e9'] },
  { scope: ['s'.repeat(129)] },
  { scope: ['a', 'a'] },
  { scope: Array.from({ length: 65 }, (_, index) => `s${index}`) },
  { roles: ['Agent'] },
  { roles: ['a', 'b', 'a'] },
  { roles: Array.from({ length: 65 }, (_, index) => `r${index}`) },
  { act: { sub: '', iss: 'i' } },
  { act: { sub: 'a', iss: '' } },
  { act: { sub: 'a"b', iss: 'i' } },
  { act: { sub: 's'.repeat(256), iss: 'i' } },
  { act: { sub: 'a', iss: 'i'.repeat(513) } },
])('refuses to serialize %j', (claims) => {
  expect(() => serializeContext(claims)).toThrow(RangeError);
});

test('refuses a context by its length with the longest address, so that the address decides nothing', () => {
  const address = '0000:0000:0000:0000:0000:ffff:255.255.255.255';
  const scope = Array.from({ length: 14 }, (_, index) => `${index}`.padEnd(128, 's'));
  const factsOf = (issuerLength: number) => ({ scope, act: { sub: 'a', iss: 'i'.repeat(issuerLength) } });
  expect(contextWithAddress(address, serializeContext(factsOf(139)))).toHaveLength(2048);
  expect(() => serializeContext(factsOf(140))).toThrow(ContextTooLong);
});
