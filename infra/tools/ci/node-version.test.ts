import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { unsupportedNode } from '../../../packages/process-kit/src/process/node-release.ts';

const repository = resolve(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(resolve(repository, path), 'utf8');
const tracked = (...patterns: string[]) =>
  execFileSync('git', ['ls-files', '-z', ...patterns], { cwd: repository, encoding: 'utf8' })
    .split('\0')
    .filter(Boolean);

const range = '^22.19.0 || ^24.0.0 || >=26.0.0';
const phrase = 'Node.js 22 (from 22.19), 24, or 26 and later';
const lowest = ['22.19.0', '24.0.0', '26.0.0'];

type Package = Readonly<{ engines?: { node?: string }; optional?: boolean }>;

/** Whether a version is in an npm range. Supports the forms that package-lock.json uses. */
function isIn(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const meets = (one: string): boolean => {
    const [, operator = '', first = '*', second = '0'] = /^([<>=^]*)(\d+|\*)(?:\.(\d+))?/.exec(one) ?? [];
    if (first === '*') return true;
    const order = major - Number(first) || minor - Number(second);
    if (operator === '<') return order < 0;
    return order >= 0 && (operator === '>=' || major === Number(first));
  };
  return wanted.split('||').some((part) =>
    part
      .trim()
      .replaceAll(/([<>=^])\s+/g, '$1')
      .split(/\s+/)
      .every(meets),
  );
}

test('every package.json has the range that processes check', () => {
  for (const path of tracked('package.json', '**/package.json')) {
    const { engines }: Package = JSON.parse(read(path));
    expect([path, engines?.node ?? range]).toEqual([path, range]);
  }
  for (const version of [...lowest, '22.18.0', '23.11.0', '25.9.0', '26.10.0'])
    expect([version, unsupportedNode(version) === undefined]).toEqual([version, isIn(version, range)]);
});

test('every dependency allows the range', () => {
  const { packages }: { packages: Record<string, Package> } = JSON.parse(read('package-lock.json'));
  const refusals = Object.entries(packages)
    .filter(([, { optional }]) => !optional)
    .flatMap(([name, { engines }]) =>
      lowest.filter((version) => !isIn(version, engines?.node ?? '*')).map((version) => `${name} refuses ${version}`),
    );
  expect(refusals).toEqual([]);
});

test('.nvmrc, the devcontainer, the node package and the workflows have one version, which is in the range', () => {
  const pinned = read('.nvmrc').trim();
  expect(unsupportedNode(pinned)).toBeUndefined();
  expect(JSON.parse(read('package.json')).devDependencies.node).toBe(pinned);
  const { image, features } = JSON.parse(read('.devcontainer/devcontainer.json'));
  expect(features['ghcr.io/devcontainers/features/node:1']).toEqual({ version: pinned });
  expect(image).not.toContain('node');
  const versions = tracked('.github/workflows/*.yml').flatMap(
    (path) => read(path).match(/(?<= node-version(?:-file)?: )[^$\n]+$/gm) ?? [],
  );
  expect([...new Set(versions)]).toEqual(['.nvmrc']);
  const tested = JSON.parse(/node: (\[.*\])/.exec(read('.github/workflows/ci.yml'))?.[1] ?? '');
  expect(tested).toEqual(lowest.map((version) => version.replace(/(?:\.0)+$/, '')));
});

test('every page and message that names the versions has the same ones', () => {
  const texts = tracked('*.md', '*/bin/*.js', 'infra/run/*.js', 'infra/ship/docker/Dockerfile').filter(
    (path) => !/decisions|benchmarks|CHANGELOG|^\.changeset/.test(path),
  );
  const others = texts.flatMap((path) =>
    [
      ...read(path)
        .replaceAll(phrase, '')
        .matchAll(/.*Node(?:\.js)?[ v](?:2\d|v\d).*/g),
    ]
      .filter(([line]) => !line.includes('bench'))
      .map(([line]) => `${path}: ${line}`),
  );
  expect(others).toEqual([]);
});
