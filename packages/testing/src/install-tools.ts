import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Installs missing packages in a folder with its own lock file, because `npm ci` does not install packages that only
 * few suites need.
 *
 * @throws Error with npm's output.
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
