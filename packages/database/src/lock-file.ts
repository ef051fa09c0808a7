import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { StartupError } from '@countersign/service-kit';

/**
 * Holds a directory for this process. A lock whose process is gone (kill -9, power cut) is taken over.
 *
 * @returns Releases it.
 * @throws StartupError when a living process holds it, or it cannot be written.
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
