import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a file, whole and on the disk, or not at all. Of two processes that make it at once the first wins.
 *
 * @param mode Whatever the umask is, e.g. `0o600` for a secret.
 * @returns False where the file was there already: it is untouched.
 * @throws The system's error, e.g. ENOSPC, with nothing left behind.
 */
export function createFile(path: string, text: string, mode: number): boolean {
  return withAside(path, { text, mode }, (aside) => {
    try {
      linkSync(aside, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(aside);
    }
    return true;
  });
}

/** As {@link createFile}, but takes the place of a file that is there. A reader sees the old text or the new, never half of one. */
export function replaceFile(path: string, text: string, mode: number): void {
  withAside(path, { text, mode }, (aside) => renameSync(aside, path));
}

/** A full disk can leave a file that is empty or cut off, and a crash one that was never written: such a file never gets the name. */
function withAside<T>(path: string, { text, mode }: { text: string; mode: number }, place: (aside: string) => T): T {
  const aside = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const file = openSync(aside, 'wx', mode);
    try {
      fchmodSync(file, mode);
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const placed = place(aside);
    syncDirectory(dirname(path));
    return placed;
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
