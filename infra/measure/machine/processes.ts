import { eventually, startProcess } from '@countersign/testing';

export type ServerOptions = Readonly<{
  command: string;
  args: readonly string[];
  /** Cores as `taskset -c` accepts them. Undefined if not pinned. */
  cores: string | undefined;
  env?: Readonly<Record<string, string>>;
  /** A file for standard output. Default: a failed start shows it. */
  logFile?: string;
  /** Throws until the server can serve. */
  ready(): Promise<void>;
}>;

export type RunningServer = Readonly<{ pid: number; stop(): Promise<unknown> }>;

const startWithinMs = 60_000;

/** Starts a server process on its cores, and waits until it is ready. */
export async function startServer({
  command,
  args,
  cores,
  env,
  logFile,
  ready,
}: ServerOptions): Promise<RunningServer> {
  // `exec` keeps the process id, whose CPU time is measured.
  const toFile = logFile === undefined ? [] : ['/bin/sh', '-c', 'exec "$@" >>"$0"', logFile];
  const pinned = cores === undefined ? [] : ['taskset', '-c', cores];
  const [program = '', ...rest] = [...toFile, ...pinned, command, ...args];
  // Compiled modules from a cache would change the memory that is measured.
  const server = startProcess({ command: program, args: rest, env: { NODE_COMPILE_CACHE: undefined, ...env } });
  const ended = server.exited.then((code): never => {
    throw new Error(`ended with ${code}`);
  });
  try {
    await Promise.race([eventually(ready, startWithinMs), ended]);
  } catch (cause) {
    await server.stop('SIGKILL');
    throw new Error(`${command} ${args.join(' ')} did not start:\n${server.output()}`, { cause });
  }
  ended.catch(() => {});
  return { pid: server.pid, stop: () => server.stop('SIGKILL') };
}
