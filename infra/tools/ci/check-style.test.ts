import { expect, test } from '@jest/globals';
import { styleProblems } from './check-style.ts';

const exists = (path: string) => ['infra/run', 'infra/gateway.yaml'].includes(path);
const rulesOf = (file: string, text: string) =>
  styleProblems(file, text, exists).map(({ rule, line }) => `${line}: ${rule}`);
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
  ['a path', 'a.md', '`infra/run/`, infra/gateway.yaml and infra/…', []],
  ['a path of nothing', 'a.md', 'ok\nRun `infra\u002frunning`.', ['2: no such path']],
  ['a path that a command creates', 'a.md', 'infra/secrets/gateway/gateway.yaml', []],
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
  ['a wide trim', 'gateway/src/http/cookies.ts', 'const name = pair.trim();', ['1: wide trim']],
  ['a wide trim in a new package', 'packages/wire/src/a.ts', 'list.map((one) => one.trimEnd())', ['1: wide trim']],
  ['a wide trim as a value', 'auth-service/src/routes/a.ts', "pair.split(',').map(trim)", ['1: wide trim']],
  ['a wide pattern', 'gateway/src/pipeline/a.ts', 'value.split(/[\\s,]+/);', ['1: wide trim']],
  ['a wide pattern as a text', 'packages/identity/src/a.ts', "new RegExp('^\\\\s*' + name)", ['1: wide trim']],
  ['a wide strip in Python', 'packages/verifiers/python/src/a.py', 'value.strip()', ['1: wide trim']],
  ['a wide split in Python', 'packages/verifiers/python/src/a.py', 'value.split()', ['1: wide trim']],
  ['a wide trim in Go', 'packages/verifiers/go/identity/a.go', 'strings.TrimSpace(value)', ['1: wide trim']],
  ['an exact trim', 'gateway/src/http/cookies.ts', 'const name = trimOws(pair); // Not `trim`: \\s takes more.', []],
  ['any character', 'gateway/src/tokens/a.ts', '/^[\\s\\S]+$/', []],
  ['an exact strip in Python', 'packages/verifiers/python/src/a.py', 'value.strip(" \\t")', []],
  ['an exact trim in Go', 'packages/verifiers/go/identity/a.go', 'strings.Trim(value, " \\t")', []],
  ['a trim of a form', 'auth-service/src/routes/pages/login-pages.ts', 'code.trim()', []],
  ['a trim in a test', 'gateway/src/http/cookies.test.ts', 'text.trim()', []],
])('%s', (_name, file, text, expected) => {
  expect(rulesOf(file, text)).toEqual(expected);
});
