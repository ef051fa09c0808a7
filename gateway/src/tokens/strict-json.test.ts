import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseStrictObject } from './strict-json.ts';

const parse = (text: string) => parseStrictObject(Buffer.from(text));

describe('a JSON object of a token', () => {
  test.each([
    ['twice the same name', '{"a":1,"a":2}'],
    ['twice the same name, once escaped', '{"sub":1,"s\\u0075b":2}'],
    ['twice the same name, with space before the colon', '{"a" :1,"a"\n:2}'],
    ['twice the same name further in', '{"a":{"b":[{"c":1,"c":2}]}}'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['text after it', '{} {}'],
    ['a byte order mark', '\ufeff{}'],
    ['a comma too many', '{"a":1,}'],
    ['nothing', ''],
  ])('is refused when it is %s', (_name, text) => {
    expect(() => parse(text)).toThrow();
  });

  test('is refused when it is not UTF-8', () => {
    expect(() => parseStrictObject(Buffer.from('{"a":"\xff"}', 'latin1'))).toThrow(/utf-8/);
  });

  test('may hold one name at two places, and values that look like names', () => {
    expect(parse('{"a":{"a":1},"b":["a","a"],"c":"\\"a\\":"}')).toEqual({ a: { a: 1 }, b: ['a', 'a'], c: '"a":' });
  });

  test('is what JSON.parse makes of it, whatever was written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = JSON.stringify(value);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('is refused when any name of it is repeated', () => {
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
