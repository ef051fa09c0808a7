import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

export type ChildSpec = Readonly<{
  name: string;
  nodeOptions?: readonly string[];
  /** The file to run and its arguments. */
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** A URL that responds with 200 once the process is ready. */
  readyUrl: string;
  logFile: string;
  /** Whether the process needs existing databases to start, by default false. */
  keepsData?: boolean;
  /** Returns the text that the terminal shows for a log line. */
  show?(line: string): string | undefined;
}>;

export type Child = ReturnType<typeof startChild>;

const keptLines = 15;
const lastLinesMs = 100;

/**
 * Starts a process whose output goes to its log file. It has its own process group, so that Ctrl-C reaches only us and
 * we stop the processes in order. If we are killed, the IPC channel ends and with it the process.
 */
export function startChild(spec: ChildSpec, repository: string) {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--conditions=source', ...(spec.nodeOptions ?? []), ...spec.args],
    {
      cwd: repository,
      // Later starts load compiled modules from here.
      env: { NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/compiled'), ...process.env, ...spec.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    },
  );
  const log = openLogFile(spec.logFile, ({ message }) =>
    process.stderr.write(`log lines of ${spec.name} are lost: ${message}\n`),
  );
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      log.write(chunk);
      tail = (tail + chunk.toString())
        .split('\n')
        .slice(-keptLines - 1)
        .join('\n');
    });
  }
  const { show } = spec;
  if (show !== undefined && child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const shown = show(line);
      if (shown !== undefined) process.stdout.write(`${shown}\n`);
    });
  }
  const closed = once(child, 'close').then(() => log.close());
  // Workers of a killed gateway hold its output open until they have finished their requests.
  const ended = once(child, 'exit').then(async ([code, signal]) => {
    await Promise.race([closed, delay(lastLinesMs)]);
    return code === null ? String(signal) : `exit code ${code}`;
  });
  return {
    name: spec.name,
    pid: child.pid ?? 0,
    readyUrl: spec.readyUrl,
    logFile: spec.logFile,
    /** How the process ended, as `exit code 1` or `SIGKILL`. */
    ended,
    lastLines: () => tail.trimEnd(),
    kill: (signal: NodeJS.Signals) => void child.kill(signal),
  };
}

/**
 * Whether a process is ready and lacks nothing. Ten seconds after its start, a gateway counts as ready even without an
 * issuer's keys and revocations.
 */
export async function isCompletelyReady(readyUrl: string, signal: AbortSignal | null = null): Promise<boolean> {
  const answer = await fetch(readyUrl, { signal }).catch(() => undefined);
  const { checks = {} } = ((await answer?.json().catch(() => undefined)) ?? {}) as { checks?: Record<string, string> };
  return answer?.status === 200 && Object.values(checks).every((state) => state === 'ok');
}

/**
 * Opens a process's log file. If the file cannot be written, for example because the disk is full, lines are lost but
 * the process keeps running. Writes are synchronous, because a stream would end at the first error.
 *
 * @param onLost Called when lines begin to be lost.
 */
export function openLogFile(path: string, onLost: (why: Error) => void) {
  const file = openSync(path, 'a');
  let losing = false;
  return {
    write(chunk: Buffer) {
      try {
        // Separates a truncated line from the next one.
        writeFileSync(file, losing ? Buffer.concat([Buffer.from('\n'), chunk]) : chunk);
        losing = false;
      } catch (error) {
        if (!losing) onLost(error as Error);
        losing = true;
      }
    },
    close: () => closeSync(file),
  };
}
