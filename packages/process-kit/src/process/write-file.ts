import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Creates a file atomically and flushes it to disk.
 *
 * @param mode The exact mode, regardless of the umask, such as `0o600` for a secret.
 * @returns False when the file already exists; it is left unchanged.
 */
export function createFile(path: string, text: string, mode: number): boolean {
  return viaTemporaryFile(path, { text, mode }, (temporary) => {
    try {
      linkSync(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(temporary);
    }
    return true;
  });
}

/** Like {@link createFile}, but replaces an existing file. Readers see either the old text or the new text. */
export function replaceFile(path: string, text: string, mode: number): void {
  viaTemporaryFile(path, { text, mode }, (temporary) => renameSync(temporary, path));
}

/** A full disk or a crash must not leave an incomplete file under the final name. */
function viaTemporaryFile<T>(
  path: string,
  { text, mode }: { text: string; mode: number },
  place: (temporary: string) => T,
): T {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const file = openSync(temporary, 'wx', mode);
    try {
      fchmodSync(file, mode); // Before the text: the umask may have left another mode.
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const placed = place(temporary);
    syncDirectory(dirname(path));
    return placed;
  } catch (error) {
    rmSync(temporary, { force: true });
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
