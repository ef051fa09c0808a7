import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** Where log lines go, whatever becomes of who reads them. */
export type LogPipe = Readonly<{
  write(line: string): void;
  /** Calls back when all is written, or after a second. */
  flush(done: () => void): void;
}>;

export type LogPipeOptions = Readonly<{
  /** How much is kept for a reader that is slow, in bytes; whole lines that come beyond that are lost. Default 4 MiB. */
  maxKept?: number;
  /** A line that says how many were lost. */
  lossLine(lost: number): string;
}>;

// As long as somebody reads soon again, since a pipe holds no more than 64 KiB; less and less often when nobody does.
const firstRetryMs = 1;
const lastRetryMs = 50;
const flushWithinMs = 1_000;

/**
 * Writes to a pipe without ever waiting for it: a reader that is slow, or stopped, costs its own lines and no request. At once all the
 * same, so that a crash does not lose the line that explains it.
 *
 * No thread of libuv's pool writes, as it would in an asynchronous `fs.write`: a blocked one keeps the process from ending.
 */
export function openLogPipe(fd: number, { maxKept = 4 * 1024 * 1024, lossLine }: LogPipeOptions): LogPipe {
  const to = withoutBlocking(fd);
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let lost = 0;
  let retryMs = firstRetryMs;
  const whenEmpty = new Set<() => void>();

  function keep(bytes: Buffer): void {
    kept.push(bytes);
    keptBytes += bytes.length;
    if (kept.length === 1) setTimeout(retry, retryMs).unref();
  }

  function retry(): void {
    let whole = 0;
    let left: Buffer = Buffer.alloc(0);
    while (whole < kept.length && left.length === 0) {
      const next = kept[whole] as Buffer;
      left = writeNow(to, next);
      keptBytes -= next.length - left.length;
      if (left.length === 0) whole += 1;
      else if (left.length < next.length || whole > 0) retryMs = firstRetryMs;
      else retryMs = Math.min(lastRetryMs, retryMs * 2);
    }
    kept.splice(0, whole);
    if (left.length > 0) {
      kept[0] = left;
      setTimeout(retry, retryMs).unref();
      return;
    }
    retryMs = firstRetryMs;
    if (lost > 0) {
      const line = lossLine(lost);
      lost = 0;
      write(line);
    }
    for (const done of [...whenEmpty]) done();
  }

  function write(line: string): void {
    const bytes = Buffer.from(line);
    if (kept.length === 0) {
      const left = writeNow(to, bytes);
      if (left.length > 0) keep(left);
    } else if (keptBytes + bytes.length > maxKept) {
      lost += 1;
    } else {
      keep(bytes);
    }
  }

  return {
    write,
    flush(done) {
      if (kept.length === 0) {
        done();
        return;
      }
      const settle = () => {
        clearTimeout(timer);
        whenEmpty.delete(settle);
        done();
      };
      const timer = setTimeout(settle, flushWithinMs);
      whenEmpty.add(settle);
    },
  };
}

/** @returns What the reader has no room for now. */
function writeNow(fd: number, bytes: Buffer): Buffer {
  let left = bytes;
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(fd, left));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return left;
      // Whatever else is wrong with it, e.g. that nobody reads any more: a log is no reason to stop serving.
      return Buffer.alloc(0);
    }
  }
  return left;
}

/**
 * A pipe is opened once more: to change the description that was inherited would change it for whoever shares it. A socket, which is what
 * systemd and a parent that is Node hand down, cannot be; there libuv, taking it, makes it answer at once. Files never block for
 * long, and a terminal that was stopped was stopped by a person.
 */
function withoutBlocking(fd: number): number {
  const stat = fstatSync(fd);
  if (stat.isSocket()) sockets.push(new Socket({ fd, readable: false, writable: true }).unref());
  if (!stat.isFIFO()) return fd;
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Not Linux. There it blocks as it always did.
    return fd;
  }
}

// Held, since one that is collected closes its descriptor.
const sockets: Socket[] = [];
