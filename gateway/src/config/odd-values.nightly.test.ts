// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables

import type { Path } from '@countersign/strict-yaml';
import { expect, test } from '@jest/globals';
import { problemsOf } from '../../test/kit/problems-of.ts';
import { type JsonSchema, jsonSchema } from './schema/json-schema.ts';

/** Every path of the schema. */
function pathsOf(part: JsonSchema, path: Path = []): readonly Path[] {
  return [
    ...(path.length > 0 ? [path] : []),
    ...(part.oneOf ?? []).flatMap((alternative) => pathsOf(alternative, path)),
    ...Object.entries(part.properties ?? {}).flatMap(([key, child]) => pathsOf(child, [...path, key])),
    ...(part.items === undefined ? [] : pathsOf(part.items, [...path, 0])),
    ...(typeof part.additionalProperties === 'object'
      ? pathsOf(part.additionalProperties, [...path, 'some-name'])
      : []),
  ];
}

const paths = [...new Map(pathsOf(jsonSchema()).map((path) => [path.join('.'), path])).values()];

/** Builds a one-line file with this value at this path. */
function fileWith([key, ...rest]: Path, value: string): string {
  const inside = rest.reduceRight<string>((text, step) => (step === 0 ? `[${text}]` : `{ ${step}: ${text} }`), value);
  return `${key}: ${inside}\n`;
}

const odd = [
  ...['0', '5', '-1', '1.5', '99999999999999999999', '1e400', '.nan', '.inf', '0x10', '0o17', '1_000', '+5'],
  ...['true', 'yes', 'null', '~', '', '""', '" "', '"\\0"', '"\\n"', '"é"', '"\\u202e"', '"\\ud800"', '2020-01-01'],
  ...['abc', 'ABC', '"*"', '"."', '".."', '"/"', '"//"', '"a b"', '"-"', '"__proto__"', '"toString"', 'x'.repeat(600)],
  ...[
    '[]',
    '[1]',
    '[[]]',
    '[null]',
    '[a, a]',
    '[{}]',
    '{}',
    '{ a: 1 }',
    '{ toString: 1 }',
    '{ "": 1 }',
    '{ a: { b: c } }',
  ],
  ...[
    '"${SET}"',
    '"${NUMBER}"',
    '"${EMPTY}"',
    '"${UNSET:-}"',
    '"${UNSET}"',
    '"${"',
    '"$"',
    '"$$"',
    '"${SET}${NUMBER}"',
  ],
  ...['"http://"', '"http://a.test"', '"://"', '"ftp://a"', '"8080"', '":8080"', '"a:99999"', '"[::1]"', '"1.2.3"'],
  ...['"-1s"', '"1y"', '"1MB"', '"10.0.0.1/8"', '"::/0"', '"fd00::1/8"', '"a.b"', '/etc/passwd', '/dev/zero', '/'],
];

// Wording of zod, and texts that JavaScript makes of unexpected values.
const raw =
  /[Ii]nvalid|[Ee]xpected|received|[Tt]oo (small|big)|[Uu]nrecognized|regex|pattern|\bNaN\b|undefined|\[object/;

test('accepts every odd value at every path, or reports it with our own message', () => {
  const env = { SET: 'abc', NUMBER: '70000', EMPTY: '' };
  const told = new Set(paths.flatMap((path) => odd.flatMap((value) => problemsOf(fileWith(path, value), env))));
  expect(paths.length).toBeGreaterThan(100);
  expect(odd.length).toBeGreaterThan(60);
  expect([...told].filter((problem) => raw.test(problem.replace(/^gateway\.yaml:\d+:\d+: /, '')))).toEqual([]);
  // A text where a list belongs is not also reported as too short.
  expect([...told].filter((problem) => /tenants: must be at least/.test(problem))).toEqual([]);
  expect([...told].filter((problem) => !/^gateway\.yaml:\d+:\d+: /.test(problem))).toEqual([]);
}, 120_000);
