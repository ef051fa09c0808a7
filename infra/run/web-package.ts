import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { installTools } from '@countersign/testing';

const repository = resolve(import.meta.dirname, '../..');
export const web = join(repository, 'web');
const cache = join(repository, 'node_modules/.cache');
const lock = join(cache, 'web.lock');

/**
 * Installs web/'s dependencies if they are missing, and runs one of its scripts. Only one process can do this at a
 * time.
 *
 * @param isDone Whether the script need not run, asked in turn.
 */
export const runInWeb = (script: 'build' | 'types', isDone = () => false): Promise<void> =>
  inTurn(() => {
    if (isDone()) return;
    installTools(web);
    // Suites run with NODE_ENV `test`, which would build React's development version.
    const env = { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production' };
    execFileSync('npm', ['run', '--silent', script], { cwd: web, env, stdio: ['ignore', 'inherit', 'inherit'] });
  });

/** Builds web/ unless its output is newer than all its sources. */
export const buildIfNeeded = (): Promise<void> => runInWeb('build', isBuilt);

function isBuilt(): boolean {
  const built = join(web, 'dist/index.html');
  if (!existsSync(built)) return false;
  const builtAtMs = statSync(built).mtimeMs;
  const sources = [
    'web/{src,public}/**',
    'web/*.{html,json,ts}',
    'packages/client/src/*.ts',
    'packages/service-kit/src/html/*.css',
  ];
  return globSync(sources, { cwd: repository }).every((file) => statSync(join(repository, file)).mtimeMs <= builtAtMs);
}

/** A lock, because suites start several installations at once. */
async function inTurn(work: () => void): Promise<void> {
  mkdirSync(cache, { recursive: true });
  while (!takeLock()) await delay(200);
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function takeLock(): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    if (!isHeld()) rmSync(lock, { force: true });
    return false;
  }
}

/** A process that was killed left its lock behind. */
function isHeld(): boolean {
  try {
    return process.kill(Number(readFileSync(lock, 'utf8')), 0);
  } catch {
    return false;
  }
}
