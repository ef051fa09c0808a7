import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { coveredComponents, coveredRules } from '../src/contract/contract.ts';
import { contractHeaders, refusalReasons } from '../src/index.ts';
import { badPoints } from './agreed-points.ts';
import { genuine } from './forge.ts';
import { smallOrderPoints } from './key-set.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const contract = read('../../../docs/identity-contract.md');
const readme = read('../README.md');

describe('docs/identity-contract.md', () => {
  test('has at most 320 lines', () => {
    expect(contract.split('\n').length - 1).toBeLessThanOrEqual(320);
  });

  test('names every header in the contract', () => {
    for (const header of contractHeaders) expect(contract).toContain(`\`${header}\``);
  });

  test('lists exactly the refusal reasons', () => {
    const section = contract.slice(contract.indexOf('## 7.'), contract.indexOf('## 8.'));
    const named = [...section.matchAll(/refuse ([a-z_]+)/g)].map(([, reason]) => reason);
    expect([...new Set(named)].sort()).toEqual([...refusalReasons].sort());
  });

  test('lists the covered components in order', () => {
    const section = contract.slice(contract.indexOf('## 2.'), contract.indexOf('## 3.'));
    const named = [...section.matchAll(/^\| \d+ \| `([^`]+)` \|/gm)].map(([, component]) => component);
    expect(named).toEqual(coveredComponents((1 << coveredRules.length) - 1).names);
  });

  test('lists the public values that a verifier must not use', () => {
    const values = (heading: string, page = contract) =>
      page
        .split(/^(?=## )/m)
        .find((section) => section.startsWith(heading))
        ?.match(/(?<![\w-])[\w-]{43}(?![\w-])/g);
    const weak = badPoints.filter(({ refused }) => refused === 'weak').map(({ bytes }) => bytes);
    // The page excludes values beyond the field by a rule, and compares without the sign.
    const withoutSign = smallOrderPoints.filter(
      (point) => point.readUInt8(31) < 0x80 && !/^e[de]f{60}7f$/.test(point.toString('hex')),
    );
    expect(values('## 3.')).toEqual(withoutSign.map((point) => point.toString('base64url')));
    expect(values('## Public keys', read('../../../docs/agreed-keys.md'))?.sort()).toEqual(
      weak.map((point) => point.toString('base64url')).sort(),
    );
  });

  test('shows the exact bytes that the code signs', () => {
    for (const [name, value] of genuine().headers.filter(([header]) => header.startsWith('x-'))) {
      expect(contract).toContain(`    "${name}": ${value}\n`);
    }
    const [, raw = ''] = genuine().headers.find(([name]) => name === 'signature-input') ?? [];
    expect(contract).toContain(`"@signature-params": ${raw.slice('countersign='.length)}`);
  });
});

test('README: every example is a tested file', () => {
  const examples = [...readme.matchAll(/<!-- (\S+) -->\n```ts\n(.*?)```\n/gs)];
  expect(examples).toHaveLength(4);
  for (const [, path = '', code] of examples) expect(code).toBe(read(`../${path}`));
});

test('README: the first example has at most ten lines', () => {
  const lines = read('../../../examples/express/server.js')
    .split('\n')
    .filter((line) => line !== '');
  expect(lines.length).toBeLessThanOrEqual(10);
});
