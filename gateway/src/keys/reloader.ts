import type { Logger } from '@countersign/service-kit';

/** Something read from files, and read again from time to time. */
export type Reloader<T> = Readonly<{
  /** The last that could be read. */
  current(): T;
  /** Why what is there now could not be read; undefined where it could. */
  failure(): string | undefined;
  /** Looks at once; a failure is logged and changes nothing. */
  reload(): void;
  start(): void;
  stop(): void;
}>;

/** Controls the reading. */
export type Reloading = Pick<Reloader<unknown>, 'reload' | 'start' | 'stop'>;

export type ReloadOptions<T> = Readonly<{
  /** For the log. */
  what: string;
  /** Reads everything, all or nothing. */
  load(): T;
  /** Equal for two that are the same, so that one that did not change stays the very same value. */
  fingerprint(value: T): string;
  logger: Logger;
}>;

/** Soon enough for a key that is published 15 minutes ahead, and for one that must go. */
const everyMs = 5_000;

/**
 * Reads files at once, then every 5 s. What cannot be read never replaces what could.
 *
 * @throws Whatever `load` throws, the first time.
 */
export function createReloader<T>({ what, load, fingerprint, logger }: ReloadOptions<T>): Reloader<T> {
  let held = load();
  let print = fingerprint(held);
  let failure: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  function reload(): void {
    let fresh: T;
    try {
      fresh = load();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // Once for each kind of failure, not every five seconds.
      if (message !== failure) logger.error({ err: error }, `${what} cannot be read: the last good ones stay in use`);
      failure = message;
      return;
    }
    if (failure !== undefined) logger.info(`${what} can be read again`);
    failure = undefined;
    const freshPrint = fingerprint(fresh);
    if (freshPrint === print) return;
    held = fresh;
    print = freshPrint;
    logger.info(`${what} changed`);
  }

  return {
    current: () => held,
    failure: () => failure,
    reload,
    start() {
      timer ??= setInterval(reload, everyMs).unref();
    },
    stop: () => clearInterval(timer),
  };
}
