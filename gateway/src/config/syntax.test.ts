import { readFileSync } from 'node:fs';
import { readYaml } from '@countersign/strict-yaml';
import { describe, expect, test } from '@jest/globals';
import { exampleHead, exampleRoutes } from '../../test/kit/example-config.ts';
import { problemsOf } from '../../test/kit/problems-of.ts';

/** A valid file. Each case makes one mistake in it. */
const good = `routes:
  - name: a
    path: /a
    methods: [GET, POST]
    body: { maxBytes: 64KiB }
  - name: b
    path: /b
`;

test.each<[string, string, string, string]>([
  ['a bracket that is not closed', '[GET, POST]', '[GET, POST', '4:14 not YAML: this "[" is not closed by a "]"'],
  ['a brace that is not closed', '64KiB }', '64KiB', '5:11 not YAML: this "{" is not closed by a "}"'],
  [
    'a bracket closed by a brace',
    '[GET, POST]',
    '[GET, POST}',
    '4:24 not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  ['an extra bracket', '[GET, POST]', '[GET, POST]]', '4:25 not YAML: Unexpected "]"'],
  ['an opening bracket before a block list', 'routes:', 'routes: [', '1:9 not YAML: this "[" is not closed by a "]"'],
  ['a quote that is not closed', 'path: /b', 'path: "/b', '7:11 not YAML: this " is not closed'],
  ['a single quote that is not closed', 'path: /a', "path: '/a", "3:11 not YAML: this ' is not closed"],
  ['a tab', '    path: /a', '\tpath: /a', '3:1 not YAML: Tabs are not allowed as indentation'],
  ['no colon', 'path: /a', 'path /a', '3:5 not YAML: a key needs ": " before its value'],
  ['no space after a colon', 'path: /a', 'path:/a', '3:5 not YAML: a key needs ": " before its value'],
  [
    'a line with too little indentation',
    '    path: /a',
    '   path: /a',
    '3:4 not YAML: "path" begins in column 4, but "name" in line 2 in column 5: the keys of a map begin in the same column',
  ],
  [
    'a line with too much indentation',
    '    path: /a',
    '     path: /a',
    '3:6 not YAML: "path" begins in column 6, but "name" in line 2 in column 5: the keys of a map begin in the same column',
  ],
  [
    'a line in the column of the dash above',
    '    methods',
    '  methods',
    '4:3 not YAML: "methods" begins in column 3, but "path" in line 3 in column 5',
  ],
  [
    'an item with too little indentation',
    '  - name: b',
    ' - name: b',
    '6:2 not YAML: this "-" begins in column 2, but the one in line 2 in column 3: the items of a list begin in the same column',
  ],
  [
    'an item with too much indentation',
    '  - name: b',
    '   - name: b',
    '6:4 not YAML: this "-" begins in column 4, but the one',
  ],
  [
    'a list whose later items are indented differently',
    '  - name: a',
    ' - name: a',
    '3:5 not YAML: "path" begins in column 5, but "name" in line 2 in column 4',
  ],
  [
    'a section after a comment',
    '  - name: b\n    path: /b\n',
    '\n# more\n services: {}\n',
    '8:2 not YAML: "services" begins in column 2, but "routes" in line 1 in column 1',
  ],
  [
    'a value with a colon',
    'path: /a',
    'path: a: b',
    '3:11 not YAML: a value with ": " in it needs quotes, or the next',
  ],
  ['no comma in a list', '[GET, POST]', '["GET" "POST"]', '4:21 not YAML: Missing , or : between flow sequence items'],
  [
    'no comma between keys',
    '{ maxBytes: 64KiB }',
    '{ mode: none maxBytes: 64KiB }',
    '5:19 not YAML: inside brackets and braces, commas separate',
  ],
  [
    'dashes in brackets',
    '[GET, POST]',
    '[- GET, - POST]',
    '4:15 not YAML: inside brackets and braces, commas separate',
  ],
  ['an extra comma', '[GET, POST]', '[GET,, POST]', '4:19 not YAML: Unexpected , in flow sequence'],
  ['a star without quotes', '[GET, POST]', '[*]', '4:15 not YAML: a text that begins with "*" or "&" needs quotes'],
  ['a backslash in braces', '64KiB', '"64\\KiB"', '5:26 not YAML: Invalid escape sequence \\K'],
  ['an at sign in braces', '64KiB', '@max', '5:23 not YAML: Plain value cannot start with reserved character @'],
  ['an apostrophe inside single quotes', '64KiB', "'it's'", '5:27 not YAML: Unexpected scalar at node end'],
  [
    'a missing comma in braces over several lines',
    '{ maxBytes: 64KiB }',
    '{\n      mode: none\n      maxBytes: 64KiB\n    }',
    '6:13 not YAML: inside brackets and braces, commas separate',
  ],
  [
    'an unclosed brace before lines with their own braces',
    '64KiB }',
    '64KiB\n    allow: { roles: [a] }',
    '5:11 not YAML: this "{" is not closed by a "}"',
  ],
  ['an equals sign for a colon', 'path: /a', 'path = /a', '3:5 not YAML: a key needs ": " before its value'],
  ['a list item without its dash', '  - name: b', '    name: b', '6:5 duplicate key'],
])('%s is reported once, at its location, without follow-up errors', (_name, from, to, problem) => {
  expect(good).toContain(from);
  const source = readYaml(good.replace(from, to), {});
  const told = source.problems.map(({ offset, message }) => `${source.lineColumn(offset)} ${message}`);
  expect(told[0]).toContain(problem);
  // An item without a dash joins the previous item, so each of its keys is a duplicate.
  expect(told.length).toBeLessThanOrEqual(problem.endsWith('duplicate key') ? 2 : 1);
});

test.each([
  ['bracket', '[GET, POST]', '[GET, POST', '4:14 not YAML: this "[" is not closed by a "]"'],
  ['quote', 'path: /b', 'path: "/b', '7:11 not YAML: this " is not closed'],
])('a byte order mark does not shift the location of an unclosed %s', (_name, from, to, problem) => {
  const source = readYaml(`\ufeff${good.replace(from, to)}`, {});
  const told = source.problems.map(({ offset, message }) => `${source.lineColumn(offset)} ${message}`);
  expect(told).toEqual([expect.stringContaining(problem)]);
});

const suite: { cases: Record<string, string> } = JSON.parse(
  readFileSync(new URL('../../test/kit/yaml-test-suite-failing.json', import.meta.url), 'utf8'),
);

test.each(Object.entries(suite.cases))(
  'refuses case %s of the YAML test suite, which must fail, with its location',
  (_id, yaml) => {
    const problems = problemsOf(yaml);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) expect(problem).toMatch(/^gateway\.yaml:\d+:\d+: ./);
  },
);

describe('a file with invisible characters', () => {
  const whole = exampleHead + exampleRoutes;

  test.each([
    ['NUL', '\0', '\\u0000'],
    ['a bell', '\x07', '\\u0007'],
    ['an escape sequence', '\x1b[31m', '\\u001b'],
    ['a next line', '\x85', '\\u0085'],
    ['a line separator', '\u2028', '\\u2028'],
    ['a right-to-left override', '\u202e', '\\u202e'],
    ['an isolate', '\u2066', '\\u2066'],
    ['a zero-width space', '\u200b', '\\u200b'],
    ['a byte order mark in the middle', '\ufeff', '\\ufeff'],
  ])('is refused if a value, a key or a comment contains %s', (_name, character, told) => {
    const problem = `an invisible character (${told}): remove it, or write it as an escape`;
    expect(problemsOf(whole.replace('api', `a${character}pi`))).toContain(`gateway.yaml:4:27: ${problem}`);
    expect(problemsOf(whole.replace('audience', `aud${character}ience`))).toContain(`gateway.yaml:4:8: ${problem}`);
    expect(problemsOf(`${whole}# ${character}`)).toEqual([`gateway.yaml:12:3: ${problem}`]);
  });

  test('control characters in a key are escaped for terminals', () => {
    const [, problem] = problemsOf(whole.replace('audience', '"\\e[31m\\u202e"'));
    expect(problem).toContain('unknown key "\\u001b[31m\\u202e"');
  });

  test.each([
    ['a byte order mark at the start', `\ufeff${whole}`],
    ['Windows line endings', whole.replaceAll('\n', '\r\n')],
    ['document start and end markers', `---\n${whole}...\n`],
    ['letters from other scripts in a comment', `${whole}# Straße, 日本語, 👩‍💻\n`],
    ['an anchor and an alias', whole.replace('complaints-api', '&a complaints-api')],
  ])('is valid with %s', (_name, text) => {
    expect(problemsOf(text)).toEqual([]);
  });
});
