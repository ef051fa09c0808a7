import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { repository } from './stack.ts';

export const published = [
  'countersign',
  '@countersign/identity',
  '@countersign/jwks',
  '@countersign/signals',
  '@countersign/client',
];

export type Project = ReturnType<typeof installPackages>;

/**
 * Packs the packages as npm would publish them, and installs them in a new project outside the repository.
 *
 * @param others More packages to install, as `name@version`.
 */
export function installPackages(others: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-installed-'));
  runIn(repository, 'npm', 'run', 'build');
  runIn(repository, 'npm', 'pack', ...published.flatMap((name) => ['-w', name]), '--pack-destination', directory);
  const tarballs = globSync('*.tgz', { cwd: directory }).map((file) => join(directory, file));
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }');
  const run = (command: string, ...args: string[]) => runIn(directory, command, ...args);
  // Uses the versions in this repository's lock file, which `npm ci` may have cached.
  run('npm', 'install', '--prefer-offline', '--ignore-scripts', ...tarballs, ...others);
  return {
    directory,
    tarballs,
    /** Runs a program in the project. */ run,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** @throws Error with the output, unless the program exits with 0. */
function runIn(directory: string, command: string, ...args: string[]): string {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: directory, env, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Returns the third-party packages of an example, as `name@version`. */
export function dependenciesOf(example: string): readonly string[] {
  const file = resolve(repository, 'examples', example, 'package.json');
  const { dependencies, devDependencies } = JSON.parse(readFileSync(file, 'utf8'));
  return Object.entries({ ...dependencies, ...devDependencies })
    .filter(([name]) => !published.includes(name))
    .map(([name, version]) => `${name}@${version}`);
}
