import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { withTimeout } from '@countersign/process-kit';
import pg from 'pg';

/** How long a connection in use can be silent before the watch probes the server over a new connection. */
const silenceMs = 1_000;
const answerWithinMs = 1_000;
const askAgainMs = 100;

type ServerWatchOptions = Readonly<{
  url: string;
  /**
   * The server ends every statement and idle transaction before this time. A connection that is silent for longer is
   * lost.
   */
  longestSilenceMs: number;
}>;

/**
 * Detects a server that hangs, because it is stopped or unreachable. A busy server may also be silent, but still
 * accepts a new connection. While the server hangs, transactions fail immediately, and a background probe repeats until
 * the server responds.
 */
export class ServerWatch {
  readonly #options: ServerWatchOptions;
  readonly #open = new Set<Socket>();
  readonly #inUse = new Set<pg.ClientBase>();
  #asking: Promise<boolean> | undefined;
  #hangs = false;
  #isStopped = false;

  constructor(options: ServerWatchOptions) {
    this.#options = options;
  }

  /** Watches all of the pool's connections. */
  follow(pool: pg.Pool): void {
    pool.on('connect', (client) => this.#watch(client));
    pool.on('acquire', (client) => void this.#inUse.add(client));
    pool.on('release', (_error, client) => void this.#inUse.delete(client));
    pool.on('remove', (client) => void this.#inUse.delete(client));
  }

  /** @throws Error with code `ETIMEDOUT` while the server hangs. */
  assertAnswers(): void {
    if (this.#hangs) throw silent('the server does not respond');
  }

  /** Call it before the pool is closed: connections that are not in use then end within a second of silence. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Settles when the pool, which does not wait for its idle connections, has none left. */
  async allEnded(): Promise<void> {
    await Promise.all(Array.from(this.#open, (stream) => new Promise((resolve) => stream.once('close', resolve))));
  }

  #watch(client: pg.ClientBase): void {
    const stream = streamOf(client);
    this.#open.add(stream);
    stream.once('close', () => this.#open.delete(stream));
    let seenBytes = 0;
    let silentSinceMs = 0;
    stream.setTimeout(silenceMs);
    stream.on('timeout', async () => {
      // A timeout fires once. Set it again to get another.
      stream.setTimeout(silenceMs);
      if (!this.#inUse.has(client)) {
        if (this.#isStopped) stream.destroy();
        return;
      }
      const bytes = stream.bytesRead + stream.bytesWritten;
      if (bytes !== seenBytes) silentSinceMs = performance.now() - silenceMs;
      seenBytes = bytes;
      const silentMs = performance.now() - silentSinceMs;
      const isLost = silentMs >= this.#options.longestSilenceMs || !(await this.#ask());
      if (isLost && stream.bytesRead + stream.bytesWritten === bytes) {
        stream.destroy(silent(`the server said nothing for ${Math.round(performance.now() - silentSinceMs)} ms`));
      }
    });
  }

  /** Runs one probe at a time. Concurrent callers share it. */
  #ask(): Promise<boolean> {
    this.#asking ??= this.#answers().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #answers(): Promise<boolean> {
    const doesAnswer = await answers(this.#options.url);
    if (!doesAnswer && !this.#hangs) {
      this.#hangs = true;
      void this.#askUntilItAnswers();
    }
    if (doesAnswer) this.#hangs = false;
    return doesAnswer;
  }

  async #askUntilItAnswers(): Promise<void> {
    for (;;) {
      await delay(askAgainMs, undefined, { ref: false });
      if (!this.#hangs || this.#isStopped) return;
      await this.#ask();
    }
  }
}

/** A refused connection counts as a response: the server is starting, has stopped, or has no free connection. */
async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // The probe's connection may be lost after the response.
  const settled = client.connect().then(
    () => client.end(),
    () => {},
  );
  try {
    await withTimeout(settled, answerWithinMs);
    return true;
  } catch {
    streamOf(client).destroy();
    return false;
  }
}

/** Ends a connection that is not in use. A hung server would keep it open, so it is destroyed after a second. */
export async function endConnection(client: pg.Client): Promise<void> {
  const stream = streamOf(client);
  stream.setTimeout(silenceMs, () => stream.destroy());
  await client.end();
}

function streamOf(client: pg.ClientBase): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

function silent(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}
