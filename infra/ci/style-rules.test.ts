import { expect, test } from '@jest/globals';
import { findings } from './style-rules.ts';

const rulesOf = (file: string, text: string) => findings(file, text).map(({ rule, line }) => `${line}: ${rule}`);
const words = (count: number) => Array.from({ length: count }, () => 'word').join(' ');

test.each([
  ['a line of 120 columns', 'a.md', 'x'.repeat(120), []],
  ['a line of 121 columns', 'a.md', `ok\n${'x'.repeat(121)}`, ['2: long line']],
  ['a long line with an address', 'a.md', `${'x'.repeat(121)} https://example.test`, []],
  ['a long line of code', 'a.md', `\`\`\`\n${'x'.repeat(121)}\n\`\`\`\n    ${'x'.repeat(121)}`, []],
  ['a long line of TypeScript', 'a.ts', 'x'.repeat(121), []],
  ['a cell of 25 words', 'a.md', `| ${words(25)} | b |`, []],
  ['a cell of 26 words', 'a.md', `| ${words(26)} | b |`, ['1: long cell']],
  ['a wide row of short cells', 'a.md', `| ${Array.from({ length: 20 }, () => words(5)).join(' | ')} |`, []],
  ['a riddle in a comment', 'a.ts', '// Who\u0065ver asks gets it.', ['1: riddle']],
  ['a riddle in a page', 'a.md', 'What is\u0020no request is dropped.', ['1: riddle']],
  ['the plain form', 'a.ts', '// The client gets it.', []],
])('%s', (_name, file, text, expected) => {
  expect(rulesOf(file, text)).toEqual(expected);
});
