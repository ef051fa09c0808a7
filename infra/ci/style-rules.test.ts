import { expect, test } from '@jest/globals';
import { findings } from './style-rules.ts';

const rulesOf = (file: string, text: string) => findings(file, text).map(({ rule, line }) => `${line}: ${rule}`);
const words = (count: number) => Array.from({ length: count }, () => 'word').join(' ');

test.each([
  ['a line of 120 columns', 'a.md', 'x'.repeat(120), []],
  ['a line of 121 columns', 'a.md', `ok\n${'x'.repeat(121)}`, ['2: long line']],
  ['a long line with a URL', 'a.md', `${'x'.repeat(121)} https://example.test`, []],
  ['a long line of code', 'a.md', `\`\`\`\n${'x'.repeat(121)}\n\`\`\`\n    ${'x'.repeat(121)}`, []],
  ['a long line of TypeScript', 'a.ts', 'x'.repeat(121), []],
  ['a cell of 25 words', 'a.md', `| ${words(25)} | b |`, []],
  ['a cell of 26 words', 'a.md', `| ${words(26)} | b |`, ['1: long cell']],
  ['a wide row of short cells', 'a.md', `| ${Array.from({ length: 20 }, () => words(5)).join(' | ')} |`, []],
  ['an unclear subject in a comment', 'a.ts', '// Who\u0065ver asks gets it.', ['1: riddle']],
  ['an unclear subject in a page', 'a.md', 'What is\u0020no request is dropped.', ['1: riddle']],
  ['a plain sentence', 'a.ts', '// The client gets it.', []],
  ['a private member', 'a.ts', 'server._handle.listen(1);', ['1: private member']],
  [
    'a private member by its name',
    'a.ts',
    "Reflect.get(response, '_header'); socket['_handle'];",
    ['1: private member'],
  ],
  ['a symbol of a library', 'a.ts', 'logger[pino.symbols.streamSym]', ['1: private member']],
  ['a symbol of Node', 'a.ts', 'parser[kOnExecute] = proceed;', ['1: private member']],
  ['a private member in a test', 'test/a.ts', 'server._handle.listen(1);', []],
  ['a parameter that is not used', 'a.ts', 'const f = (_request: Request) => {};', []],
])('%s', (_name, file, text, expected) => {
  expect(rulesOf(file, text)).toEqual(expected);
});
