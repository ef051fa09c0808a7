import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

export type StartedProcess = ReturnType<typeof startProcess>;

export type ProcessOptions = Readonly<{
  /** A program to run instead of Node. */
  command?: string;
  /** Arguments. For Node they follow `--conditions=source`: the file and its arguments. */
  args: readonly string[];
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** Whether it gets a process group of its own, so that `stop` also ends the programs that it started. */
  ownGroup?: boolean;
}>;

// Caching compiled modules halves the start time.
const compileCache = join(tmpdir(), `countersign-compile-cache-${userInfo().uid}`);

/** Starts a real process: by default from source, on the Node that runs the tests. */
export function startProcess({ command, args, env = {}, cwd, ownGroup = false }: ProcessOptions) {
  const [program, before] = command === undefined ? [process.execPath, ['--conditions=source']] : [command, []];
  const child: ChildProcess = spawn(program, [...before, ...args], {
    env: { ...process.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE: compileCache, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
    detached: ownGroup,
  });
  let output = '';
  const watchers = new Set<() => void>();
  const append = (chunk: Buffer) => {
    output += chunk.toString();
    for (const watcher of watchers) watcher();
  };
  child.stdout?.on('data', append);
  child.stderr?.on('data', append);
  const exited = once(child, 'close').then(([code, signal]) => (code as number | null) ?? String(signal));
  return {
    pid: child.pid ?? 0,
    /** All output so far, from standard output and error in order of arrival. */
    output: () => output,
    /** Resolves with the exit code or signal name when the process ends. */
    exited,
    /** Sends a signal, and waits for the end. */
    stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
      if (!ownGroup) child.kill(signal);
      else if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
      return exited;
    },
    /** Resolves when the output matches. Rejects if the process ends first. */
    waitFor(pattern: RegExp): Promise<void> {
      return new Promise((resolve, reject) => {
        const watcher = () => {
          if (!pattern.test(output)) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
        void exited.then((code) => reject(new Error(`ended with ${code} before ${pattern} appeared:\n${output}`)));
      });
    },
  };
}
