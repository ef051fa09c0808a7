import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { ConfigError, type Logger, StartupError } from '@countersign/process-kit';
import type { GatewayConfig, Route } from '../config/config.ts';
import { type FileRead, isHash, readAgain } from '../config/files.ts';
import type { Admission } from '../upstreams/pool/long-lived-connections.ts';
import type { ProcessResources } from './process-resources.ts';
import { Snapshot } from './snapshot.ts';

/** The result of the last read of the file. */
export type ReloadState = Readonly<{
  /** When the current configuration was loaded, in Unix milliseconds. */
  loadedAtMs: number;
  /** Undefined while the file on disk is in use. `hash` is undefined if the refused file cannot be read. */
  refused: Readonly<{ atMs: number; hash: string | undefined; problems: readonly string[] }> | undefined;
  /** When the file was first refused, for any reason. */
  refusedSinceMs: number | undefined;
}>;

export type ReloadTiming = Readonly<{
  /** How often to check the file for changes. Default: 250 ms. */
  checkEveryMs?: number;
  /** How often to retry a refused file. Default: 10 s. */
  retryEveryMs?: number;
  /** How long to wait for the keys and revocations of a new issuer. Default: 10 s. */
  warmUpMs?: number;
}>;

/** The result of one reload. `before` is the previous configuration. */
export type Reload =
  | Readonly<{ result: 'applied'; atMs: number; config: GatewayConfig; before: GatewayConfig }>
  | Readonly<{ result: 'refused'; atMs: number; hash: string | undefined; problems: readonly string[] }>;

type ReloadOptions = Readonly<{
  load(running: GatewayConfig): Promise<GatewayConfig>;
  logger: Logger;
  /** Called once for each file that was applied or refused. */
  onReload(reload: Reload): void;
  timing?: ReloadTiming | undefined;
}>;

/** How many checks in a row may see a change before it is applied. A program that writes all the time cannot delay it. */
const maxUnsettledChecks = 8;

/**
 * Holds the snapshot that serves all new requests, and replaces it when the configuration file changes. Applies a
 * valid file as a whole. An invalid file changes nothing, and each of its problems is logged.
 *
 * Watches the files by reading them. This notices every kind of change on every file system: a write, a rename, a
 * replaced directory, a changed link (the `..data` of a Kubernetes ConfigMap). `fs.watch` follows an inode, so it
 * misses renames and links, and every change on a network file system.
 *
 * Retries a refused file every 10 s, because a secret file or an issuer that the file names may become available. Logs
 * the file again only if its problems change.
 */
export class ConfigReloader {
  /** Each request reads this once, so that every stage sees the same configuration. */
  current: Snapshot;
  readonly #resources: ProcessResources;
  readonly #options: ReloadOptions;
  #state: ReloadState;
  #lastRead: readonly FileRead[];
  #seen = '';
  /** How many checks in a row saw other files than the check before. */
  #unsettled = 0;
  #pending: Promise<void> = Promise.resolve();
  #isStopped = false;

  /** @throws StartupError if a file that the configuration names is unreadable. It then leaves nothing open. */
  constructor(config: GatewayConfig, resources: ProcessResources, options: ReloadOptions) {
    this.current = new Snapshot(config, resources);
    this.#resources = resources;
    this.#options = options;
    this.#state = { loadedAtMs: resources.nowMs(), refused: undefined, refusedSinceMs: undefined };
    this.#lastRead = config.files;
  }

  readonly state = (): ReloadState => this.#state;

  /** Reads and applies the file now, even if it has not changed. The log and the result contain its problems. */
  readonly reload = async (): Promise<ReloadState> => {
    await this.#enqueue(this.#readNow);
    return this.#state;
  };

  async start(): Promise<void> {
    const { checkEveryMs = 250, retryEveryMs = 10_000 } = this.#options.timing ?? {};
    let retryAtMs = performance.now() + retryEveryMs;
    while (!this.#isStopped) {
      await delay(checkEveryMs, undefined, { ref: false });
      await this.#look();
      if (performance.now() < retryAtMs) continue;
      retryAtMs = performance.now() + retryEveryMs;
      if (this.#state.refused !== undefined) await this.#enqueue(this.#readNow);
    }
  }

  /** Abandons a reload that has not been applied yet. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Applies the files if their content differs from the last read. A file that changed since the last check may not be
   * complete yet, so it waits, for at most {@link maxUnsettledChecks}.
   */
  async #look(): Promise<void> {
    const files = await this.#readFiles();
    const seen = fingerprintOf(files);
    this.#unsettled = seen === this.#seen ? 0 : this.#unsettled + 1;
    this.#seen = seen;
    if (this.#unsettled % maxUnsettledChecks === 0 && seen !== fingerprintOf(this.#lastRead))
      await this.#enqueue(() => this.#apply(files));
  }

  readonly #readNow = async () => this.#apply(await this.#readFiles());

  #readFiles(): Promise<readonly FileRead[]> {
    return Promise.all(this.#lastRead.map(readAgain));
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#pending = this.#pending.then(work);
    return this.#pending;
  }

  async #apply(files: readonly FileRead[]): Promise<void> {
    if (this.#isStopped) return;
    this.#lastRead = files;
    try {
      const before = this.current.config;
      const config = await this.#options.load(before);
      if (this.#isStopped) return;
      await this.#replace(config);
      this.#lastRead = config.files;
      this.#recordApplied(config, before);
    } catch (error) {
      if (!this.#isStopped) this.#recordRefused(files[0], this.#problemsOf(error));
    }
  }

  /**
   * Builds a snapshot, waits until it can verify tokens, and then uses it for all new requests. If this fails, the old
   * snapshot stays.
   */
  async #replace(config: GatewayConfig): Promise<void> {
    const old = this.current;
    const fresh = new Snapshot(config, this.#resources, old);
    try {
      fresh.start();
      await waitUntilReady(fresh, old, this.#options.timing?.warmUpMs ?? 10_000);
    } catch (error) {
      fresh.retire();
      throw error;
    }
    this.current = fresh;
    this.#resources.connections.keepOnly(stillAllowedBy(fresh));
    old.retire();
  }

  #recordApplied(config: GatewayConfig, before: GatewayConfig): void {
    const { logger, onReload } = this.#options;
    const atMs = this.#resources.nowMs();
    this.#state = { loadedAtMs: atMs, refused: undefined, refusedSinceMs: undefined };
    onReload({ result: 'applied', atMs, config, before });
    logger.info({ config: config.hash.slice(0, 12), routes: config.routes.length }, 'configuration reloaded');
  }

  #recordRefused(file: FileRead | undefined, problems: readonly string[]): void {
    const { logger, onReload } = this.#options;
    const { refused: before, refusedSinceMs, loadedAtMs } = this.#state;
    const hash = file !== undefined && isHash(file.hash) ? file.hash : undefined;
    const refused = { atMs: this.#resources.nowMs(), hash, problems };
    this.#state = { loadedAtMs, refused, refusedSinceMs: refusedSinceMs ?? refused.atMs };
    if (isDeepStrictEqual([before?.hash, before?.problems], [hash, problems])) return;
    onReload({ result: 'refused', ...refused });
    const inForce = this.current.config.hash.slice(0, 12);
    for (const problem of problems)
      logger.error({ config: hash?.slice(0, 12), inForce, problem }, 'configuration refused');
  }

  /** Describes an error. Even an internal error keeps the old configuration; the log contains its stack. */
  #problemsOf(error: unknown): readonly string[] {
    if (error instanceof ConfigError) return error.problems;
    if (error instanceof StartupError) return [error.message];
    this.#options.logger.error({ err: error }, 'reload failed');
    return ['an internal error: see the log'];
  }
}

const fingerprintOf = (files: readonly FileRead[]): string =>
  files.map(({ path, hash }) => `${path} ${hash}`).join('\n');

const checkReadyEveryMs = 50;

/**
 * Waits for the keys and revocations of new issuers. Otherwise the first requests with tokens from a new issuer would
 * get 503. An unchanged issuer that is already unreachable does not block a reload.
 *
 * @throws StartupError if they do not arrive in time.
 */
async function waitUntilReady({ trust }: Snapshot, old: Snapshot, withinMs: number): Promise<void> {
  const missing = () =>
    [...trust.issuers.values()].flatMap(({ config: { issuer }, keys, revocations }) => {
      const before = old.trust.issuers.get(issuer);
      return [
        ...(keys.ready || keys === before?.keys ? [] : [`keys of ${issuer}`]),
        ...(revocations?.ready !== false || revocations === before?.revocations ? [] : [`revocations of ${issuer}`]),
      ];
    });
  const untilMs = performance.now() + withinMs;
  while (missing().length > 0) {
    if (performance.now() > untilMs) {
      throw new StartupError(`timed out after ${withinMs / 1000} s waiting for ${missing().join(', ')}`);
    }
    await delay(checkReadyEveryMs, undefined, { ref: false });
  }
}

/**
 * Decides which connections may stay open: only those whose route, upstream and token issuer are unchanged. The others
 * are closed, and their clients reconnect and are authorized again.
 */
function stillAllowedBy({ config, trust }: Snapshot): (admission: Admission) => boolean {
  const routes = new Map(config.routes.map((route) => [route.name, route]));
  const results = new Map<Route, boolean>();
  const isSame = (route: Route): boolean => {
    const same = results.get(route) ?? isDeepStrictEqual(route, routes.get(route.name));
    results.set(route, same);
    return same;
  };
  return ({ route, token }) =>
    isSame(route) && (token === undefined || trust.issuers.get(token.issuer.config.issuer) === token.issuer);
}
