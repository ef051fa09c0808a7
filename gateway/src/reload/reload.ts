import { isDeepStrictEqual } from 'node:util';
import { ConfigError, type Logger, StartupError } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import { type FileRead, isHash, readAgain } from '../config/files.ts';
import type { CurrentSnapshot } from './snapshot.ts';
import { watchFiles } from './watch.ts';

/** The result of reading the file last. */
export type ReloadState = Readonly<{
  /** When the configuration in force was loaded. Unix milliseconds. */
  loadedAtMs: number;
  /** Undefined while the file is in force. `hash` is undefined if the refused file cannot be read. */
  refused: Readonly<{ atMs: number; hash: string | undefined; problems: readonly string[] }> | undefined;
  /** Since when the file is refused, for whatever reasons. */
  refusedSinceMs: number | undefined;
}>;

export type ConfigReloader = Readonly<{
  /** Reads the file now, changed or not, and applies it. Its problems are in the log and in `state`. */
  reload(): Promise<ReloadState>;
  state(): ReloadState;
  start(): void;
  /** Abandons a reload that has not been applied yet. */
  stop(): void;
}>;

export type ReloadTiming = Readonly<{
  /** How often the file is checked for changes. Default 250 ms. */
  checkEveryMs?: number;
  /** How often a refused file is tried again. Default 10 s. */
  retryEveryMs?: number;
  /** How long to wait for the keys and revocations of a new issuer. Default 10 s. */
  warmUpMs?: number;
}>;

/** The result of one reload. `before` is the configuration that was in force. */
export type Reload =
  | Readonly<{ result: 'applied'; atMs: number; config: GatewayConfig; before: GatewayConfig }>
  | Readonly<{ result: 'refused'; atMs: number; hash: string | undefined; problems: readonly string[] }>;

export type ConfigReloaderOptions = Readonly<{
  snapshot: CurrentSnapshot;
  /** @throws ConfigError with every problem. */
  load(): Promise<GatewayConfig>;
  logger: Logger;
  nowMs(): number;
  /** Called once for each file that was applied or refused. */
  onReload(reload: Reload): void;
  timing?: ReloadTiming | undefined;
}>;

/**
 * Watches the configuration file. A valid file is applied as a whole. An invalid file changes nothing, and each of its problems is logged.
 *
 * A refused file is tried again every 10 s, because a secret file or an issuer that it names may become available. It is logged again only
 * when its problems change.
 */
export function createConfigReloader(options: ConfigReloaderOptions): ConfigReloader {
  const { snapshot, load, logger, nowMs, onReload } = options;
  const { checkEveryMs = 250, retryEveryMs = 10_000, warmUpMs = 10_000 } = options.timing ?? {};
  const current = () => snapshot.current;
  let loadedAtMs = nowMs();
  let refused: ReloadState['refused'];
  let refusedSinceMs: number | undefined;
  let lastRead: readonly FileRead[] = current().config.files;
  let pending: Promise<void> = Promise.resolve();
  let isStopped = false;
  let stopTimers = (): void => {};

  async function apply(files: readonly FileRead[]): Promise<void> {
    if (isStopped) return;
    lastRead = files;
    try {
      const config = await load();
      if (isStopped) return;
      const before = current().config;
      await snapshot.replace(config, warmUpMs);
      lastRead = config.files;
      recordApplied(config, before);
    } catch (error) {
      if (!isStopped) recordRefused(files[0], problemsOf(error));
    }
  }

  function recordApplied(config: GatewayConfig, before: GatewayConfig): void {
    const { hash, routes } = config;
    loadedAtMs = nowMs();
    refused = undefined;
    refusedSinceMs = undefined;
    onReload({ result: 'applied', atMs: loadedAtMs, config, before });
    logger.info({ config: hash.slice(0, 12), routes: routes.length }, 'configuration reloaded');
  }

  function recordRefused(file: FileRead | undefined, problems: readonly string[]): void {
    const hash = file !== undefined && isHash(file.hash) ? file.hash : undefined;
    const isKnown = isDeepStrictEqual([refused?.hash, refused?.problems], [hash, problems]);
    refused = { atMs: nowMs(), hash, problems };
    refusedSinceMs ??= refused.atMs;
    if (isKnown) return;
    onReload({ result: 'refused', ...refused });
    const inForce = current().config.hash.slice(0, 12);
    for (const problem of problems)
      logger.error({ config: hash?.slice(0, 12), inForce, problem }, 'configuration refused');
  }

  /** An internal error also keeps the old configuration. The log has its stack. */
  function problemsOf(error: unknown): readonly string[] {
    if (error instanceof ConfigError) return error.problems;
    if (error instanceof StartupError) return [error.message];
    logger.error({ err: error }, 'reload failed');
    return ['an internal error: see the log'];
  }

  /** Runs one reload at a time, in order. */
  const enqueue = (work: () => Promise<void>): Promise<void> => (pending = pending.then(work));

  const state = () => ({ loadedAtMs, refused, refusedSinceMs });
  const readNow = async () => apply(await Promise.all(lastRead.map(readAgain)));
  const retry = async () => {
    if (refused !== undefined) await readNow();
  };

  return {
    async reload() {
      await enqueue(readNow);
      return state();
    },
    state,
    start() {
      const retrying = setInterval(() => void enqueue(retry), retryEveryMs).unref();
      const watch = watchFiles(
        () => lastRead,
        (files) => enqueue(() => apply(files)),
        checkEveryMs,
      );
      stopTimers = () => {
        clearInterval(retrying);
        clearInterval(watch);
      };
    },
    stop() {
      isStopped = true;
      stopTimers();
    },
  };
}
