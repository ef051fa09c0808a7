import { type FileRead, readAgain } from './files.ts';

export type Watch = Readonly<{ stop(): void }>;

export type WatchOptions = Readonly<{
  /** What was read last. Asked at each look. */
  read(): readonly FileRead[];
  /** Called when files hold something else than was read last, and did so at the look before. Not called again before it is over. */
  changed(now: readonly FileRead[]): Promise<void>;
  everyMs: number;
}>;

/**
 * Looks at what files hold, every now and then. Reading a small file twice a second costs next to nothing, and sees every way in
 * which a file changes: written in place, renamed over, its directory exchanged, a link on the way moved (the `..data` of a
 * Kubernetes ConfigMap), on any file system. `fs.watch` follows an inode: it loses a file that is renamed over, hears nothing of a link
 * further up, and nothing at all on a network file system.
 *
 * What changes between two looks is still being written, and is left to settle.
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
