import { isDeepStrictEqual } from 'node:util';
import { ConfigError, type Logger, StartupError } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import { type FileRead, isHash, readAgain } from '../config/files.ts';
import { watchFiles } from '../config/watch.ts';
import type { Generations } from './current-snapshot.ts';

/** What became of the file last. */
export type ReloadState = Readonly<{
  /** Of the configuration in force; Unix milliseconds. */
  loadedAtMs: number;
  /** Undefined: the file is what is in force. `hash`: of the refused file, where it could be read. */
  refused: Readonly<{ atMs: number; hash: string | undefined; problems: readonly string[] }> | undefined;
}>;

export type Reloader = Readonly<{
  /** Reads the file now, changed or not, and puts it into force. What is wrong with it is in the log and in `state`. */
  reload(): Promise<ReloadState>;
  state(): ReloadState;
  start(): void;
  stop(): void;
}>;

export type ReloadTiming = Readonly<{
  /** Between two looks at the file. Default 500 ms. */
  lookEveryMs?: number;
  /** Between two attempts at a file that was refused. Default 10 s. */
  retryEveryMs?: number;
  /** How long the keys and revocations of a new issuer are waited for. Default 10 s. */
  warmUpMs?: number;
}>;

export type ReloaderOptions = Readonly<{
  generations: Generations;
  /** Throws ConfigError with every problem. */
  load(): Promise<GatewayConfig>;
  logger: Logger;
  nowMs(): number;
  /** Called once for each file that was put into force or refused. */
  count(result: 'applied' | 'refused'): void;
  timing?: ReloadTiming | undefined;
}>;

/**
 * Follows the configuration's file. A good one is put into force whole; a bad one changes nothing, and every problem in it is
 * logged. A file that was refused is tried again every 10 s, since what it names (a secret's file, an issuer that is not up yet) may
 * come later; it is only spoken of again when its problems are others.
 */
export function createReloader(options: ReloaderOptions): Reloader {
  const { generations, load, logger, nowMs, count } = options;
  const { lookEveryMs = 500, retryEveryMs = 10_000, warmUpMs = 10_000 } = options.timing ?? {};
  const { current } = generations;
  let loadedAtMs = nowMs();
  let refused: ReloadState['refused'];
  let read: readonly FileRead[] = current().config.files;
  let underWay: Promise<void> = Promise.resolve();
  const timers: { stop(): void }[] = [];

  async function attempt(now: readonly FileRead[]): Promise<void> {
    read = now;
    try {
      const config = await load();
      await generations.replace(config, warmUpMs);
      read = config.files;
      applied(config);
    } catch (error) {
      refuse(now[0], problemsOf(error));
    }
  }

  function applied({ hash, routes }: GatewayConfig): void {
    loadedAtMs = nowMs();
    refused = undefined;
    count('applied');
    logger.info({ config: hash.slice(0, 12), routes: routes.length }, 'configuration reloaded');
  }

  function refuse(file: FileRead | undefined, problems: readonly string[]): void {
    const hash = file !== undefined && isHash(file.hash) ? file.hash : undefined;
    const isKnown = isDeepStrictEqual([refused?.hash, refused?.problems], [hash, problems]);
    refused = { atMs: nowMs(), hash, problems };
    if (isKnown) return;
    count('refused');
    const inForce = current().config.hash.slice(0, 12);
    for (const problem of problems)
      logger.error({ config: hash?.slice(0, 12), inForce, problem }, 'configuration refused');
  }

  /** A fault of ours changes nothing either: the log has its stack. */
  function problemsOf(error: unknown): readonly string[] {
    if (error instanceof ConfigError) return error.problems;
    if (error instanceof StartupError) return [error.message];
    logger.error({ err: error }, 'reload failed');
    return ['an internal error: see the log'];
  }

  /** One at a time, in the order in which they were asked for. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    underWay = underWay.then(work);
    return underWay;
  }

  const state = () => ({ loadedAtMs, refused });
  const readNow = async () => attempt(await Promise.all(read.map(readAgain)));
  const retry = async () => {
    if (refused !== undefined) await readNow();
  };

  return {
    async reload() {
      await inTurn(readNow);
      return state();
    },
    state,
    start() {
      const retrying = setInterval(() => void inTurn(retry), retryEveryMs).unref();
      timers.push({ stop: () => clearInterval(retrying) });
      timers.push(watchFiles({ read: () => read, changed: (now) => inTurn(() => attempt(now)), everyMs: lookEveryMs }));
    },
    stop() {
      for (const timer of timers) timer.stop();
    },
  };
}
