import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { StartupError } from '@countersign/service-kit';

/**
 * Locks a directory for this process. Takes over a lock whose process has ended (kill -9, power cut).
 *
 * @returns A function that releases the lock.
 * @throws StartupError when a running process holds the lock, or the lock file cannot be written.
 */
export function lockFile(path: string): () => void {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') {
        rmSync(path, { force: true });
        throw new StartupError(`database: cannot write ${path}: ${message}`, { cause: error });
      }
    }
    const holder = Number(readFileSync(path, 'utf8'));
    if (isAlive(holder)) throw new StartupError(`database: ${path} is held by the running process ${holder}`);
    rmSync(path, { force: true });
  }
  throw new StartupError(`database: ${path} is being taken by another process`);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
