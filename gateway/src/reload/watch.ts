import { type FileRead, readAgain } from '../config/files.ts';

export type Watch = Readonly<{ stop(): void }>;

export type WatchOptions = Readonly<{
  /** The files of the current configuration. */
  read(): readonly FileRead[];
  /** Called when the content differs from the last read, twice in a row. Calls do not overlap. */
  changed(now: readonly FileRead[]): Promise<void>;
  everyMs: number;
}>;

/**
 * Watches files by reading them every `everyMs`. This notices every kind of change on every file system: a write, a rename, an exchanged
 * directory, a moved link (the `..data` of a Kubernetes ConfigMap). `fs.watch` follows an inode, so it misses renames and links, and all
 * changes on a network file system.
 *
 * A file that changes between two reads is probably still being written, so it is not reported yet.
 */
export function watchFiles({ read, changed, everyMs }: WatchOptions): Watch {
  let before = '';
  let isBusy = false;

  async function look(): Promise<void> {
    const now = await Promise.all(read().map(readAgain));
    const fingerprint = fingerprintOf(now);
    const isSettled = fingerprint === before;
    before = fingerprint;
    if (isSettled && fingerprint !== fingerprintOf(read())) await changed(now);
  }

  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    void look().finally(() => {
      isBusy = false;
    });
  }, everyMs).unref();
  return { stop: () => clearInterval(timer) };
}

const fingerprintOf = (files: readonly FileRead[]): string =>
  files.map(({ path, hash }) => `${path} ${hash}`).join('\n');
