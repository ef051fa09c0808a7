import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

export type ForkOptions = Readonly<{
  args: readonly string[];
  /** In the form of `taskset -c`. Undefined: not pinned. */
  cores: string | undefined;
  nodeFlags?: readonly string[];
  /** A file descriptor for standard output. Default: none. */
  stdout?: number;
}>;

/** A process of the benchmark with which messages are exchanged. */
export type Forked = Readonly<{
  process: ChildProcess;
  /** The next message. @throws Error if the process ends first. */
  message(): Promise<unknown>;
}>;

/** Runs a program of the benchmark on its own cores, on the Node that runs this process. */
export function forkPinned(program: string, options: ForkOptions): Forked {
  const { args, cores, nodeFlags = [], stdout = 'ignore' } = options;
  const node = [process.execPath, ...nodeFlags, '--conditions=source', program, ...args];
  const [command = '', ...rest] = cores === undefined ? node : ['taskset', '-c', cores, ...node];
  const stdio: StdioOptions = ['ignore', stdout, 'inherit', 'ipc'];
  const child = spawn(command, rest, { stdio });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${program} ended with ${code}`);
  });
  ended.catch(() => {});
  return {
    process: child,
    async message() {
      const [message] = await Promise.race([once(child, 'message'), ended]);
      return message;
    },
  };
}
