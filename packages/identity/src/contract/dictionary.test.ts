import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseDictionary as parseByLibrary } from 'structured-headers';
import { type DictionaryValue, parseDictionary } from './dictionary.ts';

test.each<[string, [string, DictionaryValue][]]>([
  ['', []],
  ['   ', []],
  ['a="x"', [['a', 'x']]],
  [
    'a=1,b=0',
    [
      ['a', 1],
      ['b', 0],
    ],
  ],
  [
    'a="x" \t, \tb=("y" "z")',
    [
      ['a', 'x'],
      ['b', ['y', 'z']],
    ],
  ],
  ['a=(  "y"   "z"  )', [['a', ['y', 'z']]]],
  ['a=()', [['a', []]]],
  ['*a-1_b.c*="x"', [['*a-1_b.c*', 'x']]],
  [
    'a="x";p="y z" , b=1',
    [
      ['a', { text: 'x', parameter: 'p', value: 'y z' }],
      ['b', 1],
    ],
  ],
  [
    'a="";*p="",b=";p="',
    [
      ['a', { text: '', parameter: '*p', value: '' }],
      ['b', ';p='],
    ],
  ],
])('reads %j', (input, members) => {
  expect([...(parseDictionary(input) ?? [])]).toEqual(members);
});

test.each([
  'a',
  'a=',
  'a=x',
  'a=?1',
  'a=:AA==:',
  'a=1.5',
  'a=@1',
  'a="x";p=1',
  'a="x";p',
  'a="x";p=',
  'a="x";',
  'a="x";="y"',
  'a="x";P="y"',
  'a="x";p="y";q="z"',
  'a="x";p="y',
  'a="x";p=("y")',
  'a="x" ;p="y"',
  'a="x"; p="y"',
  'a=1;p="y"',
  'a=("x");p="y"',
  'a=("x";p="y")',
  'a=("x";p=1)',
  'a=(x)',
  'a=(1)',
  'a=("x""y")',
  'a=("x"',
  'a="x',
  'a="\\x"',
  'a="\\"\\\\"',
  'a="é"',
  'a="\u0000"',
  'A="x"',
  '1="x"',
  'a ="x"',
  'a= "x"',
  'a="x",',
  ',a="x"',
  'a="x",,b="y"',
  'a="x" b="y"',
  'a="x", a="y"',
  '\ta="x"',
  'a=1234567890123456',
  '__proto__',
  'a=--1',
  'a=-1',
  'a=-0',
  'a=0001',
  'a=1a="x"',
])('refuses %j', (input) => {
  expect(parseDictionary(input)).toBeUndefined();
});

test('agrees with an independent parser on every input that it accepts', () => {
  const fragment = fc.constantFrom(
    'a',
    'b',
    '=',
    ',',
    ' ',
    '\t',
    '"',
    '\\',
    '(',
    ')',
    '1',
    '-',
    '.',
    '"x"',
    'a="x"',
    'b=("y")',
    ', ',
    ';',
    ';p="y"',
  );
  fc.assert(
    fc.property(
      fc.array(fragment, { maxLength: 14 }).map((pieces) => pieces.join('')),
      (input) => {
        const ours = parseDictionary(input);
        if (ours === undefined) return;
        const theirs = [...parseByLibrary(input)].map(([key, [value, parameters]]) => {
          const [[parameter, text] = []] = parameters;
          if (parameter !== undefined) return [key, { text: value, parameter, value: text }];
          return [key, Array.isArray(value) ? value.map(([item]) => item) : value];
        });
        expect([...ours]).toEqual(theirs);
      },
    ),
    { numRuns: 5_000 },
  );
});
