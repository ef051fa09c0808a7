import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseStrictObject } from './parse-strict-object.ts';

const parse = (text: string) => parseStrictObject(Buffer.from(text));

describe('a JSON object in a token', () => {
  test.each([
    ['a repeated name', '{"a":1,"a":2}'],
    ['a repeated name, once escaped', '{"sub":1,"s\\u0075b":2}'],
    ['a repeated name with space before the colon', '{"a" :1,"a"\n:2}'],
    ['a repeated name in a nested object', '{"a":{"b":[{"c":1,"c":2}]}}'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['an object followed by text', '{} {}'],
    ['an object after a byte order mark', '\ufeff{}'],
    ['an object with a trailing comma', '{"a":1,}'],
    ['an object with a number beyond floats', '{"a":[-1e400]}'],
    ['an object with half of a surrogate pair', '{"a":"\\ud800"}'],
    ['an object with half of a surrogate pair in a name', '{"a":{"\\udc00":1}}'],
    ['empty', ''],
  ])('is refused if it is %s', (_name, text) => {
    expect(() => parse(text)).toThrow();
  });

  test('is refused if it is not UTF-8', () => {
    expect(() => parseStrictObject(Buffer.from('{"a":"\xff"}', 'latin1'))).toThrow(/utf-8/);
  });

  test('may repeat a name in different objects, and contain values that look like names', () => {
    expect(parse('{"a":{"a":1},"b":["a","a"],"c":"\\"a\\":"}')).toEqual({ a: { a: 1 }, b: ['a', 'a'], c: '"a":' });
  });

  test('equals the result of JSON.parse', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = JSON.stringify(value);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('is refused with any repeated name', () => {
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), fc.jsonValue(), (name, one, other) => {
        const key = JSON.stringify(name);
        expect(() =>
          parse(`{${key}:${JSON.stringify(one)},"x${'y'.repeat(20)}":0,${key}:${JSON.stringify(other)}}`),
        ).toThrow(SyntaxError);
      }),
    );
  });
});
