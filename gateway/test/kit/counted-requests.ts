import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';

/** The requests of one run. Counts are by outcome: a status, with the code of a problem, or the code of an error. */
export type CountedRequests = Readonly<{
  /** The last outcome of each request. */
  final: Readonly<Record<string, number>>;
  /** Outcomes after which the client sent the request again. */
  repeated: Readonly<Record<string, number>>;
  /** How many requests each algorithm signed, of those that were handled. */
  signedWith: Readonly<Record<string, number>>;
  sent(): number;
  /** The latest algorithm. */
  algorithm(): string;
  /** Sends the last requests, and settles when all are answered. */
  finish(): Promise<void>;
  /** Sends no more requests. */
  abandon(): void;
}>;

type CountedOptions = Readonly<{
  token: string;
  /** How many requests to send altogether. */
  count: number;
  perSecond: number;
  /** Outcomes after which the client sends the request again. */
  repeats: readonly string[];
}>;

/** Each sends one request at a time over its own connection. So a process that is killed breaks this many at most. */
export const clients = 20;
/** Requests that wait for `finish`, so that every event happens under load. */
const held = 200;

/** Sends a number of requests to the service of README.md, which answers with the headers that it received. */
export function countedRequests(url: string, options: CountedOptions): CountedRequests {
  const { token, count, perSecond, repeats } = options;
  const pool = new Pool(url, { connections: clients, pipelining: 1 });
  const final: Record<string, number> = {};
  const repeated: Record<string, number> = {};
  const signedWith: Record<string, number> = {};
  const add = (counts: Record<string, number>, what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const startedAt = performance.now();
  let isFinishing = false;
  let isAbandoned = false;
  let sent = 0;
  let algorithm = '';

  async function ask(): Promise<string> {
    try {
      const headers = { authorization: `Bearer ${token}` };
      const { statusCode, body } = await pool.request({ path: '/hello', method: 'GET', headers });
      const text = await body.text();
      if (statusCode !== 200) return `${statusCode} ${/"code":"(\w+)"/.exec(text)?.[1]}`;
      algorithm = /;alg=\\"([a-z0-9-]+)\\"/.exec(text)?.[1] ?? 'none';
      add(signedWith, algorithm);
      return '200';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  }
  async function runClient(): Promise<void> {
    while (!isAbandoned && sent < count) {
      const dueMs = startedAt + (sent / perSecond) * 1000;
      const isHeld = !isFinishing && sent >= count - held;
      if (performance.now() < dueMs || isHeld) {
        await delay(2);
        continue;
      }
      sent += 1;
      let outcome = await ask();
      while (!isAbandoned && repeats.includes(outcome)) {
        add(repeated, outcome);
        await delay(20);
        outcome = await ask();
      }
      add(final, outcome);
    }
  }
  const running = Promise.all(Array.from({ length: clients }, runClient));
  return {
    final,
    repeated,
    signedWith,
    sent: () => sent,
    algorithm: () => algorithm,
    async finish() {
      isFinishing = true;
      await running;
      await pool.close();
    },
    abandon() {
      isAbandoned = true;
    },
  };
}
