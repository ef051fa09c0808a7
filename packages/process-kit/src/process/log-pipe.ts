import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

// How many bytes are buffered for a slow reader. Whole lines beyond that are dropped.
const maxBufferedBytes = 4 * 1024 * 1024;
// A pipe holds 64 KiB, so an active reader soon needs more.
const retryMs = 5;
// A system call for each line would cost more than the rest of the line.
const appendForMs = 100;
const appendUpTo = 16 * 1024;
// The maximum time that a slow reader delays the exit.
const exitWithinMs = 1_000;

/**
 * Writes to a file descriptor without waiting for its reader. A slow or stopped reader loses log lines, but delays no
 * request. Appended lines are written after 100 ms, at 16 KiB, before a line that is written immediately, and when the
 * process exits or crashes. Only SIGKILL and a crash of Node.js itself lose them.
 *
 * Writes are synchronous and non-blocking. An asynchronous `fs.write` would use a libuv thread, and a blocked thread
 * would keep the process from exiting. pino's sonic-boom would sleep for 100 ms when the pipe is full.
 *
 * @param lossLine Formats the line that reports how many lines were dropped.
 */
export function openLogPipe(fd: number, lossLine: (lost: number) => string) {
  const output = nonBlocking(fd);
  let appended = '';
  let appendTimer: NodeJS.Timeout | undefined;
  /** What the reader has not taken yet. */
  const buffered: Buffer[] = [];
  let bufferedBytes = 0;
  let lost = 0;

  function writeBuffered(): void {
    for (let next = buffered[0]; next !== undefined; next = buffered[0]) {
      const left = writeNow(output, next);
      bufferedBytes -= next.length - left.length;
      if (left.length > 0) {
        buffered[0] = left;
        return;
      }
      buffered.shift();
    }
  }

  function writeOrRetry(): void {
    writeBuffered();
    if (buffered.length > 0) {
      setTimeout(writeOrRetry, retryMs).unref();
    } else if (lost > 0) {
      appended = lossLine(lost) + appended;
      lost = 0;
      sendAppended();
    }
  }

  function sendAppended(): void {
    clearTimeout(appendTimer);
    appendTimer = undefined;
    if (appended === '') return;
    const bytes = Buffer.from(appended);
    appended = '';
    const isWaiting = buffered.length > 0;
    if (isWaiting && (lost > 0 || bufferedBytes + bytes.length > maxBufferedBytes)) {
      // Waits until the buffer is empty, so that each gap is reported once, where it occurred.
      lost += bytes.toString().split('\n').length - 1;
      return;
    }
    buffered.push(bytes);
    bufferedBytes += bytes.length;
    if (!isWaiting) writeOrRetry();
  }

  exits.push(() => {
    sendAppended();
    const untilMs = performance.now() + exitWithinMs;
    writeBuffered();
    while (buffered.length > 0 && performance.now() < untilMs) {
      Atomics.wait(exitPause, 0, 0, retryMs);
      writeBuffered();
    }
  });

  return {
    /** Writes a line immediately, after all earlier lines. */
    write(line: string): void {
      appended += line;
      sendAppended();
    },
    /** Writes a line within 100 ms, together with others. */
    append(line: string): void {
      appended += line;
      if (appended.length >= appendUpTo) sendAppended();
      else appendTimer ??= setTimeout(sendAppended, appendForMs).unref();
    },
  };
}

const exitPause = new Int32Array(new SharedArrayBuffer(4));
const exits: (() => void)[] = [];

// Runs also after an uncaught exception.
process.on('exit', () => {
  for (const each of exits) each();
});

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
