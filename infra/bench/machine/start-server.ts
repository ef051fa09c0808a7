import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '@countersign/testing';

export type ServerOptions = Readonly<{
  command: string;
  args: readonly string[];
  /** Cores in the form of `taskset -c`. Undefined: not pinned. */
  cores: string | undefined;
  env?: Readonly<Record<string, string>>;
  /** A file descriptor for standard output. Default: kept, and shown if the server does not start. */
  stdout?: number;
  /** Throws until the server can serve. */
  ready(): Promise<void>;
}>;

export type RunningServer = Readonly<{ pid: number; stop(): Promise<void> }>;

const startWithinMs = 60_000;

/** Starts a server as a process on its cores, and waits until it is ready. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { command, args, cores, env = {}, stdout = 'pipe', ready } = options;
  const [program = command, ...rest] =
    cores === undefined ? [command, ...args] : ['taskset', '-c', cores, command, ...args];
  const child = spawn(program, rest, {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', stdout, 'pipe'],
  });
  endWithThisProcess(child);
  const output = keepOutput(child);
  const exited = once(child, 'exit');
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  };
  const ended = exited.then(([code]) => {
    throw new Error(`${args.join(' ')} ended with ${code}:\n${output()}`);
  });
  ended.catch(() => {});
  try {
    await Promise.race([eventually(ready, startWithinMs), ended]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid ?? 0, stop };
}

const children = new Set<ChildProcess>();

/** Also when this process is interrupted: a server left behind would take its core from the next run. */
function endWithThisProcess(child: ChildProcess): void {
  if (children.size === 0) {
    process.once('exit', () => {
      for (const one of children) one.kill('SIGKILL');
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  }
  children.add(child);
}

function keepOutput(child: ChildProcess): () => string {
  let output = '';
  const append = (chunk: Buffer) => {
    if (output.length < 10_000) output += chunk.toString();
  };
  child.stdout?.on('data', append);
  child.stderr?.on('data', append);
  return () => output;
}
