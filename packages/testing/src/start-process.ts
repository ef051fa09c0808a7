import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

export type StartedProcess = Readonly<{
  pid: number;
  /** Everything it wrote so far, standard output and error in order of arrival. */
  output(): string;
  /** Settles with the exit code or the signal's name when the process ends. */
  exited: Promise<number | string>;
  /** Sends a signal (SIGTERM by default) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
  /** Settles when its output matches; rejects when it ends first. */
  waitFor(pattern: RegExp): Promise<void>;
}>;

export type ProcessOptions = Readonly<{
  /** Another program instead of the Node that runs the tests. */
  command?: string;
  /** For Node, after `--conditions=source`: the file and its arguments. */
  args: readonly string[];
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
}>;

// Caching compiled modules halves the start time.
const compileCache = join(tmpdir(), `countersign-compile-cache-${userInfo().uid}`);

/** Starts a real process: by default Node from source, on the Node that runs the tests. */
export function startProcess({ command, args, env = {}, cwd }: ProcessOptions): StartedProcess {
  const [program, before] = command === undefined ? [process.execPath, ['--conditions=source']] : [command, []];
  const child: ChildProcess = spawn(program, [...before, ...args], {
    env: { ...process.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE: compileCache, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
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
    output: () => output,
    exited,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
    waitFor(pattern) {
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
