import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Installs the packages of a folder with its own lock file, if they are missing. `npm ci` in the repository does not
 * install packages that only few suites need.
 *
 * @throws Error with the output of npm.
 */
export function installTools(directory: string): void {
  const installed = join(directory, 'node_modules/.package-lock.json');
  const lock = join(directory, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  execFileSync('npm', ['ci', '--prefer-offline', '--no-audit', '--no-fund'], {
    cwd: directory,
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
