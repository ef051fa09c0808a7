import { type FileRead, readAgain } from '../config/files.ts';

/**
 * Watches files by reading them every `everyMs`. This notices every kind of change on every file system: a write, a rename, an exchanged
 * directory, a moved link (the `..data` of a Kubernetes ConfigMap). `fs.watch` follows an inode, so it misses renames and links, and all
 * changes on a network file system.
 *
 * A file that changes between two reads is probably still being written, so it is not reported yet.
 *
 * @param read The files of the current configuration.
 * @param changed Called when the content differs from the last read, twice in a row. Calls do not overlap.
 */
export function watchFiles(
  read: () => readonly FileRead[],
  changed: (now: readonly FileRead[]) => Promise<void>,
  everyMs: number,
): NodeJS.Timeout {
  let before = '';
  let isBusy = false;

  async function look(): Promise<void> {
    const now = await Promise.all(read().map(readAgain));
    const fingerprint = fingerprintOf(now);
    const isSettled = fingerprint === before;
    before = fingerprint;
    if (isSettled && fingerprint !== fingerprintOf(read())) await changed(now);
  }

  return setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    void look().finally(() => {
      isBusy = false;
    });
  }, everyMs).unref();
}

const fingerprintOf = (files: readonly FileRead[]): string =>
  files.map(({ path, hash }) => `${path} ${hash}`).join('\n');
