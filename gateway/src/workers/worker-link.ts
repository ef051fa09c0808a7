import { Pool } from 'undici';

/** An answer of a worker's own admin listener. */
export type WorkerAnswer = Readonly<{ status: number; type: string; body: string }>;

/** The primary's way to one worker: its admin listener, on a socket in the file system that nobody else can open. */
export type WorkerLink = Readonly<{
  /** @throws Error when the worker does not answer in time, or is not there. */
  ask(path: string): Promise<WorkerAnswer>;
  close(): Promise<void>;
}>;

const answerWithinMs = 2_000;

export function linkTo(socketPath: string): WorkerLink {
  const pool = new Pool('http://worker', {
    socketPath,
    connections: 4,
    headersTimeout: answerWithinMs,
    bodyTimeout: answerWithinMs,
    connect: { timeout: answerWithinMs },
  });
  return {
    async ask(path) {
      const { statusCode, headers, body } = await pool.request({ method: 'GET', path });
      return { status: statusCode, type: String(headers['content-type'] ?? ''), body: await body.text() };
    },
    close: () => pool.destroy(),
  };
}
