// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables
import { expect, test } from '@jest/globals';
import { substitute } from './source.ts';

const env = { PORT: '8080', EMPTY: '', NESTED: '${PORT}', 'odd name': 'x' };

test.each([
  ['http://h:${PORT}/', 'http://h:8080/', 'variable'],
  ['${PORT:-9}', '8080', 'default'],
  ['${PORT:-}', '8080', 'variable'],
  ['${ABSENT:-9}', '9', 'default'],
  ['${ABSENT:-}', '', 'default'],
  ['${EMPTY:-9}', '9', 'default'],
  ['${EMPTY}', '', 'variable'],
  ['${ABSENT:-a:-b}', 'a:-b', 'default'],
  ['$${PORT}', '${PORT}', 'written'],
  ['a$$b', 'a$b', 'written'],
  ['$', '$', 'written'],
  ['$PORT', '$PORT', 'written'],
  ['${NESTED}', '${PORT}', 'variable'],
  ['${PORT}${ABSENT:-x}', '8080x', 'default'],
  ['plain', 'plain', 'written'],
])('%s becomes %s (%s)', (text, expected, origin) => {
  expect(substitute(text, env)).toMatchObject({ text: expected, origin, problems: [] });
});

test.each([
  ['http://h:${PORT}/', 'http://h:${PORT}/'],
  ['${PORT:-9}', '${PORT:-9}'],
  ['${PORT}${ABSENT:-x}', '${PORT}x'],
  ['${EMPTY:-9}$$', '9$'],
  ['plain', 'plain'],
])('%s is redacted to %s', (text, redacted) => {
  expect(substitute(text, env).redacted).toBe(redacted);
});

test('an unset variable without a default is a problem', () => {
  expect(substitute('${A}-${B}', env).problems).toEqual([
    'the variable A is not set, and has no default ("${A:-default}")',
    'the variable B is not set, and has no default ("${B:-default}")',
  ]);
});

test.each(['${}', '${', '${A', '${odd name}', '${A-b}', '${9}', '${A:b}', '${ABSENT:-${PORT}}', '${${PORT}}'])(
  '%s is malformed',
  (text) => {
    expect(substitute(text, env).problems).toEqual([
      'malformed variable: write "${NAME}", "${NAME:-default}", or "$$" for a dollar; they do not nest',
    ]);
  },
);
