// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables
import { describe, expect, test } from '@jest/globals';
import { readYaml } from './yaml.ts';

const problemsOf = (text: string, env: Record<string, string> = {}) => {
  const source = readYaml(text, env);
  return source.problems.map(({ offset, message }) => `${source.lineColumn(offset)} ${message}`);
};

describe('readYaml', () => {
  test('reads values with their places', () => {
    const source = readYaml('a: 1\nb:\n  - c: "x"\n    d: true\n', {});
    expect(source.value).toEqual({ a: 1, b: [{ c: 'x', d: true }] });
    expect(source.problems).toEqual([]);
    expect(source.lineColumn(source.placeOf(['b', 0, 'c']).offset)).toBe('3:8');
    expect(source.lineColumn(source.placeOf(['b', 0, 'd']).keyOffset)).toBe('4:5');
    expect(source.lineColumn(source.placeOf(['b', 0, 'absent']).offset)).toBe('3:5');
  });

  test('replaces variables after parsing, in strings only', () => {
    const source = readYaml('a: "${A}"\nb: ${A}\nn: 1\n"${A}": k\n', { A: 'x\nevil: true #' });
    expect(source.value).toEqual({ a: 'x\nevil: true #', b: 'x\nevil: true #', n: 1, '${A}': 'k' });
  });

  test('a value from a variable stays a string', () => {
    expect(readYaml('a: ${A}\nb: ${B:-true}\n', { A: '8080' }).value).toEqual({ a: '8080', b: 'true' });
  });

  test('an empty variable counts as an absent key; a written empty string stays', () => {
    expect(readYaml('a: "${A}"\nb: ""\nc: "${C:-}"\n', { A: '' }).value).toEqual({ b: '' });
  });

  test('resolves aliases', () => {
    expect(readYaml('a: &x [1, 2]\nb: *x\n', {}).value).toEqual({ a: [1, 2], b: [1, 2] });
  });

  test.each([
    ['a key twice', 'a: 1\na: 2\n', ['2:1 duplicate key']],
    ['a key twice, deep', 'a:\n  b: {c: 1, c: 2}\n', ['2:13 duplicate key']],
    [
      'an unquoted variable in braces',
      'a: { b: ${X} }\n',
      ['1:9 an unquoted "${" inside braces or brackets: write "${NAME}" in quotes'],
    ],
    [
      'an unquoted variable in brackets',
      'a: [${X}]\n',
      ['1:5 an unquoted "${" inside braces or brackets: write "${NAME}" in quotes'],
    ],
    [
      'an unquoted variable inside a word',
      'a: { b: http://${X}:80 }\n',
      ['1:16 an unquoted "${" inside braces or brackets: write "${NAME}" in quotes'],
    ],
    ['an unset variable', 'a: 1\nb: "${X}"\n', ['2:4 the variable X is not set, and has no default ("${X:-default}")']],
    [
      'two documents',
      'a: 1\n---\nb: 2\n',
      ['2:1 a second document begins here, but a file has only one configuration'],
    ],
    ['another version', '%YAML 1.1\n---\na: yes\n', ['1:1 only YAML 1.2 is supported']],
    ['a foreign tag', 'a: !!js/function x\n', ['1:18 tags ("!…") are not supported']],
    ['a binary tag', 'a: !!binary aGk=\n', ['1:13 tags ("!…") are not supported']],
    [
      '__proto__',
      '__proto__: { admin: true }\n',
      ['1:1 not a key: "__proto__" is reserved; for a value of a token, write a list of pairs: [[__proto__, …]]'],
    ],
    [
      'constructor',
      'a: { constructor: 1 }\n',
      ['1:6 not a key: "constructor" is reserved; for a value of a token, write a list of pairs: [[constructor, …]]'],
    ],
    ['a list as key', '? [a]\n: 1\n', ['1:3 not a key: keys are plain words']],
    ['a number as key', '1: a\n', ['1:1 not a key: a number needs quotes']],
    ['nothing', '', ['1:1 the file is empty']],
    ['a comment alone', '# a\n', ['1:1 the file is empty']],
  ])('refuses %s', (_name, text, problems) => {
    expect(problemsOf(text).toSorted()).toEqual(problems);
  });

  test.each([
    'a: [1',
    'a: {',
    'a: "x',
    '\ta: 1',
    'a: 1\n  b: 2',
    'a: b: c',
    '@a',
    'a: %b',
    '- a\nb: 1',
    'a: *nowhere',
    '&a &b c',
    'a: |\n x\n\ty',
    '[a]]',
    '}',
    "a: 'x'y",
  ])('refuses %j as not YAML', (text) => {
    expect(problemsOf(text)).not.toEqual([]);
  });

  test('a merge key is a key like any other', () => {
    expect(readYaml('a: &a { x: 1 }\nb: { <<: *a }\n', {}).value).toEqual({ a: { x: 1 }, b: { '<<': { x: 1 } } });
  });

  const laughs = Array.from({ length: 9 }, (_, index) => {
    const items = index === 0 ? 'lol' : `*a${index - 1}`;
    return `a${index}: &a${index} [${Array(9).fill(items).join(', ')}]`;
  }).join('\n');

  test.each([
    ['a billion laughs', laughs, /too many values|nested deeper/],
    [
      'fifty thousand aliases of a list',
      `a: &a [${'x,'.repeat(30)}]\nb: [${'*a,'.repeat(50_000)}]\n`,
      /too many values/,
    ],
    ['an alias of itself', 'a: &x [*x]\n', /nested deeper|not YAML/],
    ['deep brackets', '['.repeat(100_000), /nested deeper/],
    ['deep braces', '{a: '.repeat(100_000), /nested deeper/],
    ['deep dashes', '- '.repeat(200_000), /nested deeper/],
    ['deep question marks', '? '.repeat(200_000), /nested deeper/],
    ['deep keys', Array.from({ length: 500 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), /nested deeper/],
    ['a file of 9 MiB', `a: "${'x'.repeat(9 * 1024 * 1024)}"\n`, /larger than 8 MiB/],
  ])('stays within its bounds for %s', (_name, text, problem) => {
    const [first] = problemsOf(text);
    expect(first).toMatch(problem);
  });
});
