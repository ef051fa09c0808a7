import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { contextWithAddress, parseContext, serializeContext } from './context.ts';

const id = fc.stringMatching(/^[A-Za-z0-9._~:@|-]{1,128}$/);
const context = fc.record(
  {
    iss: fc.webUrl().filter((url) => url.length <= 512),
    sid: id,
    authTime: fc.integer({ min: 0, max: 9_999_999_999 }),
    amr: fc.array(fc.stringMatching(/^[A-Za-z0-9._:-]{1,64}$/), { minLength: 1, maxLength: 5 }),
    jkt: fc.stringMatching(/^[A-Za-z0-9_-]{43}$/),
  },
  { requiredKeys: [] },
);

test('parses what it serializes', () => {
  fc.assert(
    fc.property(context, fc.option(fc.oneof(fc.ipV4(), fc.ipV6()), { nil: undefined }), (facts, ip) => {
      expect(parseContext(contextWithAddress(ip, serializeContext(facts)))).toEqual(
        ip === undefined ? facts : { ip, ...facts },
      );
    }),
    { numRuns: 40 },
  );
});

test('serializes members in a fixed order', () => {
  const facts = { jkt: 'A'.repeat(43), amr: ['pwd', 'otp'], authTime: 7, sid: 's', iss: 'https://a' };
  expect(contextWithAddress('::1', serializeContext(facts))).toBe(
    `ip="::1", iss="https://a", sid="s", auth-time=7, amr=("pwd" "otp"), jkt="${'A'.repeat(43)}"`,
  );
});

test('serializes no facts as an empty dictionary', () => {
  expect(contextWithAddress(undefined, serializeContext({ amr: [] }))).toBe('');
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
])('refuses to serialize %j', (facts) => {
  expect(() => serializeContext(facts)).toThrow(RangeError);
});

test.each(['', 'localhost', '192.0.2.1:80', 'fe80::1%eth0', '192.0.2.256', '1'])(
  'refuses to serialize the address %j',
  (ip) => {
    expect(() => contextWithAddress(ip, '')).toThrow(RangeError);
  },
);
