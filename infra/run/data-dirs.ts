import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The variable that gives a service a database server, and the directory that it uses otherwise. */
const directories = { AUTH_DATABASE_URL: 'auth', USERS_DATABASE_URL: 'users', COMPLAINTS_DATABASE_URL: 'complaints' };

/** The directories under this home that each service would otherwise initialize itself. */
export function missingDataDirs(home: string, env: Readonly<Record<string, string | undefined>>): readonly string[] {
  if (env.DATABASE_URL !== undefined) return [];
  return Object.entries(directories)
    .filter(([variable]) => env[variable] === undefined)
    .map(([, name]) => join(home, 'data', name))
    .filter((dataDir) => !existsSync(dataDir));
}

/**
 * Initializes several databases in the time of one. A failure is not an error, because services initialize missing
 * directories and report problems.
 */
export async function createDataDirs(dataDirs: readonly string[], repository: string): Promise<void> {
  if (dataDirs.length < 2) return;
  // This runs for 3 s. Without V8's optimizing compiler for WebAssembly, it takes two thirds of the CPU time.
  const args = ['--conditions=source', '--liftoff-only', 'packages/database/src/create-data-dirs.ts', ...dataDirs];
  const child = spawn(process.execPath, args, { cwd: repository, stdio: 'ignore' });
  await Promise.race([once(child, 'close'), once(child, 'error')]).catch(() => undefined);
}
