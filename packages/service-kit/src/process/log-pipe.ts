import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** A log output that never blocks, even when its reader is slow or gone. */
export type LogPipe = Readonly<{
  write(line: string): void;
  /** Calls back when everything is written, or after a second. */
  flush(done: () => void): void;
}>;

export type LogPipeOptions = Readonly<{
  /** Bytes buffered for a slow reader. Whole lines beyond that are dropped. Default 4 MiB. */
  maxBufferedBytes?: number;
  /** Formats the line that reports how many lines were dropped. */
  lossLine(lost: number): string;
}>;

// A pipe holds 64 KiB, so an active reader soon needs more. Retries slow down while the reader is stopped.
const firstRetryMs = 1;
const lastRetryMs = 50;
const flushWithinMs = 1_000;

/**
 * Writes to a file descriptor without waiting for its reader: a slow or stopped reader loses log lines and delays no
 * request. Lines are written at once when possible, so that a crash does not lose the line that explains it.
 *
 * Writes are synchronous and non-blocking. An asynchronous `fs.write` uses a thread of libuv's pool, and a blocked thread
 * keeps the process from exiting.
 */
export function openLogPipe(fd: number, { maxBufferedBytes = 4 * 1024 * 1024, lossLine }: LogPipeOptions): LogPipe {
  const output = nonBlocking(fd);
  const buffered: Buffer[] = [];
  let bufferedBytes = 0;
  let lost = 0;
  let retryMs = firstRetryMs;
  const onEmpty = new Set<() => void>();

  function buffer(bytes: Buffer): void {
    buffered.push(bytes);
    bufferedBytes += bytes.length;
    if (buffered.length === 1) setTimeout(retry, retryMs).unref();
  }

  function retry(): void {
    let whole = 0;
    let left: Buffer = Buffer.alloc(0);
    while (whole < buffered.length && left.length === 0) {
      const next = buffered[whole] as Buffer;
      left = writeNow(output, next);
      bufferedBytes -= next.length - left.length;
      if (left.length === 0) whole += 1;
      else if (left.length < next.length || whole > 0) retryMs = firstRetryMs;
      else retryMs = Math.min(lastRetryMs, retryMs * 2);
    }
    buffered.splice(0, whole);
    if (left.length > 0) {
      buffered[0] = left;
      setTimeout(retry, retryMs).unref();
      return;
    }
    retryMs = firstRetryMs;
    if (lost > 0) {
      const line = lossLine(lost);
      lost = 0;
      write(line);
    }
    for (const done of [...onEmpty]) done();
  }

  function write(line: string): void {
    const bytes = Buffer.from(line);
    if (buffered.length === 0) {
      const left = writeNow(output, bytes);
      if (left.length > 0) buffer(left);
    } else if (bufferedBytes + bytes.length > maxBufferedBytes) {
      lost += 1;
    } else {
      buffer(bytes);
    }
  }

  return {
    write,
    flush(done) {
      if (buffered.length === 0) {
        done();
        return;
      }
      const settle = () => {
        clearTimeout(timer);
        onEmpty.delete(settle);
        done();
      };
      const timer = setTimeout(settle, flushWithinMs);
      onEmpty.add(settle);
    },
  };
}

/** @returns The bytes that the pipe has no room for now. */
function writeNow(fd: number, bytes: Buffer): Buffer {
  let left = bytes;
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(fd, left));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return left;
      // Drop the line after any other error, such as EPIPE. A broken log must not stop the service.
      return Buffer.alloc(0);
    }
  }
  return left;
}

/**
 * Returns a non-blocking descriptor for the same output. A pipe is opened again, because other processes may share the
 * inherited file description. A socket, as systemd and a Node parent pass it, cannot be opened again; libuv makes it
 * non-blocking. Files and terminals are used as they are.
 */
function nonBlocking(fd: number): number {
  const stat = fstatSync(fd);
  if (stat.isSocket()) sockets.push(new Socket({ fd, readable: false, writable: true }).unref());
  if (!stat.isFIFO()) return fd;
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Without /proc (not Linux), writes may block.
    return fd;
  }
}

// Keeps references: a garbage-collected socket closes its descriptor.
const sockets: Socket[] = [];
