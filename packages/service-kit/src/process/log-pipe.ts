import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** A log output that never blocks, even when its reader is slow or gone. */
export type LogPipe = Readonly<{
  /** Writes a line immediately, after all earlier lines. */
  write(line: string): void;
  /** Writes a line within 100 ms, together with others. */
  append(line: string): void;
  /** Calls back when everything is written, or after a second. */
  flush(done: () => void): void;
}>;

export type LogPipeOptions = Readonly<{
  /** Formats the line that reports how many lines were dropped. */
  lossLine(lost: number): string;
}>;

// How many bytes are buffered for a slow reader. Whole lines beyond that are dropped.
const maxBufferedBytes = 4 * 1024 * 1024;
// A pipe holds 64 KiB, so an active reader soon needs more. Retries slow down while the reader is stopped.
const firstRetryMs = 1;
const lastRetryMs = 50;
const flushWithinMs = 1_000;
// A system call for each line would cost more than the rest of the line.
const appendForMs = 100;
const appendUpToBytes = 16 * 1024;
// The maximum time that a slow reader delays the exit.
const exitWithinMs = 200;

/**
 * Writes to a file descriptor without waiting for its reader. A slow or stopped reader loses log lines, but delays no
 * request. Appended lines are written after 100 ms, at 16 KiB, before a line that is written immediately, and when the
 * process exits or crashes. Only SIGKILL and a crash of Node.js itself lose them.
 *
 * Writes are synchronous and non-blocking. An asynchronous `fs.write` would use a libuv thread, and a blocked thread
 * would keep the process from exiting.
 */
export function openLogPipe(fd: number, { lossLine }: LogPipeOptions): LogPipe {
  const output = nonBlocking(fd);
  const buffered: Buffer[] = [];
  let bufferedBytes = 0;
  let lost = 0;
  let retryMs = firstRetryMs;
  /** Appended lines. Encoding each immediately is cheaper than joining them first. */
  const pending = Buffer.allocUnsafeSlow(2 * appendUpToBytes);
  let pendingBytes = 0;
  let appendTimer: NodeJS.Timeout | undefined;
  const onEmpty = new Set<() => void>();

  function buffer(bytes: Buffer): void {
    // Copies, because later lines overwrite what was pending.
    buffered.push(Buffer.from(bytes));
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
      send(Buffer.from(line));
    }
    for (const done of [...onEmpty]) done();
  }

  function send(bytes: Buffer): void {
    if (buffered.length === 0) {
      const left = writeNow(output, bytes);
      if (left.length > 0) buffer(left);
    } else if (lost > 0 || bufferedBytes + bytes.length > maxBufferedBytes) {
      // Waits until the buffer is empty, so that each gap is reported once, where it occurred.
      lost += countLines(bytes);
    } else {
      buffer(bytes);
    }
  }

  function sendAppended(): void {
    clearTimeout(appendTimer);
    appendTimer = undefined;
    const bytes = pending.subarray(0, pendingBytes);
    pendingBytes = 0;
    if (bytes.length > 0) send(bytes);
  }

  function append(line: string): void {
    // UTF-8 needs at most three bytes for a UTF-16 unit.
    const maxBytes = line.length * 3;
    if (maxBytes > pending.length - pendingBytes) sendAppended();
    if (maxBytes > pending.length) send(Buffer.from(line));
    else pendingBytes += pending.write(line, pendingBytes);
  }

  onExit(() => {
    sendAppended();
    const untilMs = performance.now() + exitWithinMs;
    while (buffered.length > 0 && performance.now() < untilMs) {
      const left = writeNow(output, buffered[0] as Buffer);
      if (left.length === 0) buffered.shift();
      else {
        buffered[0] = left;
        Atomics.wait(exitPause, 0, 0, firstRetryMs);
      }
    }
  });

  return {
    write(line) {
      append(line);
      sendAppended();
    },
    append(line) {
      append(line);
      if (pendingBytes >= appendUpToBytes) sendAppended();
      else appendTimer ??= setTimeout(sendAppended, appendForMs).unref();
    },
    flush(done) {
      sendAppended();
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

const exitPause = new Int32Array(new SharedArrayBuffer(4));
const exits: (() => void)[] = [];

/** Runs when the process exits, also after an uncaught exception. */
function onExit(write: () => void): void {
  exits.push(write);
  if (exits.length > 1) return;
  process.on('exit', () => {
    for (const each of exits) each();
  });
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(lineFeed); at !== -1; at = bytes.indexOf(lineFeed, at + 1)) count += 1;
  return count;
}

const lineFeed = 0x0a;

/** @returns The bytes that do not fit in the pipe now. */
function writeNow(fd: number, bytes: Buffer): Buffer {
  let left = bytes;
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(fd, left));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return left;
      // After any other error, such as EPIPE, drops the line. A broken log must not stop the service.
      return Buffer.alloc(0);
    }
  }
  return left;
}

/**
 * Returns a non-blocking descriptor for the same output. A pipe is reopened, because other processes may share the
 * inherited file description. A socket (from systemd or a Node parent) cannot be reopened, but libuv makes it
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

// Keeps references, because a garbage-collected socket closes its descriptor.
const sockets: Socket[] = [];
