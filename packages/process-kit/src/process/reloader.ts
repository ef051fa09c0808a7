import type { Logger } from './logger.ts';

/** Functions that control when files are read. */
export type Reloading = Pick<ReturnType<typeof createReloader>, 'reload' | 'start' | 'stop'>;

export type ReloadOptions<T> = Readonly<{
  /** The value's name in log lines. */
  what: string;
  /** Reads all files. Throws if one of them cannot be read. */
  load(): T;
  /** Returns equal text for equal values, so that an unchanged value keeps its identity. */
  fingerprint(value: T): string;
  logger: Logger;
}>;

/** Short enough to publish a key 15 minutes before its use, and to withdraw one quickly. */
const everyMs = 5_000;

/** Reads files now, and every 5 s after `start`. @throws Any error from the first `load`. */
export function createReloader<T>({ what, load, fingerprint, logger }: ReloadOptions<T>) {
  let held = load();
  let heldFingerprint = fingerprint(held);
  let generation = 1;
  let failure: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  function reload(): void {
    let fresh: T;
    try {
      fresh = load();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // Logs a failure once, not at every reading.
      if (message !== failure)
        logger.error({ err: error }, `${what} cannot be read, so the last valid ones stay in use`);
      failure = message;
      return;
    }
    if (failure !== undefined) logger.info(`${what} were read again`);
    failure = undefined;
    const freshFingerprint = fingerprint(fresh);
    if (freshFingerprint === heldFingerprint) return;
    held = fresh;
    heldFingerprint = freshFingerprint;
    generation += 1;
    logger.info(`${what} changed`);
  }

  return {
    /** The last value that was read successfully. */
    current: () => held,
    /** Starts at 1 and increases with each change. */
    generation: () => generation,
    /** Why the last reading failed. Undefined if it succeeded. */
    failure: () => failure,
    /** Reads the files now. A failure is logged and keeps the current value. */
    reload,
    start(): void {
      timer ??= setInterval(reload, everyMs).unref();
    },
    stop: () => clearInterval(timer),
  };
}
