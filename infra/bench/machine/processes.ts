import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '@countersign/testing';

type Pinned = Readonly<{
  args: readonly string[];
  /** Cores as `taskset -c` accepts them. Undefined if not pinned. */
  cores: string | undefined;
  /** A file descriptor for standard output. */
  stdout?: number;
}>;

/** A process of the benchmark, reached by messages. */
export type Forked = Readonly<{
  process: ChildProcess;
  /** The next message. @throws Error if the process ends first. */
  message(): Promise<unknown>;
}>;

/** Runs a benchmark program on its own cores, with this process's Node version. */
export function forkPinned(
  program: string,
  { args, nodeFlags = [], stdout, cores }: Pinned & Readonly<{ nodeFlags?: readonly string[] }>,
): Forked {
  const node = [...nodeFlags, '--conditions=source', program, ...args];
  const stdio: SpawnOptions['stdio'] = ['ignore', stdout ?? 'ignore', 'inherit', 'ipc'];
  const { child, ended } = spawnPinned(process.execPath, node, cores, { stdio });
  return {
    process: child,
    message: async () => (await Promise.race([once(child, 'message'), ended]))[0],
  };
}

export type RunningServer = Readonly<{ pid: number; stop(): Promise<void> }>;

const startWithinMs = 60_000;

/**
 * Starts a server process on its cores, and waits until it is ready.
 *
 * @param options `ready` throws until the server can serve. Without `stdout`, a failed start shows the output.
 */
export async function startServer(
  options: Pinned & Readonly<{ command: string; env?: Readonly<Record<string, string>>; ready(): Promise<void> }>,
): Promise<RunningServer> {
  const { command, args, cores, env, stdout = 'pipe', ready } = options;
  const { child, ended } = spawnPinned(command, args, cores, {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', stdout, 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      if (output.length < 10_000) output += chunk;
    });
  }
  const stop = async () => {
    child.kill('SIGKILL');
    await ended.catch(() => {});
  };
  try {
    await Promise.race([eventually(ready, startWithinMs), ended]);
  } catch (error) {
    await stop();
    throw new Error(`${command} ${args.join(' ')} did not start:\n${output}`, { cause: error });
  }
  return { pid: child.pid ?? 0, stop };
}

const children = new Set<ChildProcess>();

/** @returns The process, and a promise that rejects when it ends. */
function spawnPinned(command: string, args: readonly string[], cores: string | undefined, options: SpawnOptions) {
  const [program = '', ...rest] = [...(cores === undefined ? [] : ['taskset', '-c', cores]), command, ...args];
  const child = spawn(program, rest, options);
  // Also runs after an interrupt, because a process left behind would occupy its core during the next run.
  if (children.size === 0) {
    process.once('exit', () => {
      for (const one of children) one.kill('SIGKILL');
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  }
  children.add(child);
  const ended = once(child, 'exit').then(([code]): never => {
    throw new Error(`${args.join(' ')} ended with ${code}`);
  });
  ended.catch(() => {});
  return { child, ended };
}
