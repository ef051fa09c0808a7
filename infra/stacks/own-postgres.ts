import { execFileSync } from 'node:child_process';
import { chownSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts, type StartedProcess, startProcess } from '@countersign/testing';

/** The newest installed version. Debian does not put these programs on the PATH. */
export const postgresPrograms = (): string | undefined =>
  globSync('/usr/lib/postgresql/*/bin/initdb').sort().map(dirname).at(-1);

// PostgreSQL refuses to run as root. 65534 is an unprivileged account.
const isRoot = process.getuid?.() === 0;
const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];

/** Creates a PostgreSQL server in a directory, which may be a mount. Nothing runs before `start`. */
export async function ownPostgres(directory: string) {
  const programs = postgresPrograms();
  if (programs === undefined) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  const [port = 0] = await freePorts(1);
  const data = join(directory, 'data');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  if (isRoot) for (const path of [directory, data]) chownSync(path, 65_534, 65_534);
  const command = (program: string, args: readonly string[]) =>
    isRoot
      ? { command: 'setpriv', args: [...asNobody, join(programs, program), ...args] }
      : { command: join(programs, program), args };
  const initdb = command('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync']);
  execFileSync(initdb.command, initdb.args, { stdio: 'ignore' });
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'logging_collector=off'];
  const server = command('postgres', ['-D', data, ...settings.flatMap((setting) => ['-c', setting])]);
  let running: StartedProcess | undefined;
  const pids = (): readonly number[] => (running === undefined ? [] : [running.pid, ...childrenOf(running.pid)]);
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    /** All processes of the server, including the first one. */
    pids,
    /** Whether the server exited by itself. */
    hasEnded: () => Promise.race([running?.exited.then(() => true), delay(100, false)]).then((ended) => ended === true),
    /** Starts or restarts the server on the same data. Resolves when it accepts connections. */
    async start() {
      running = startProcess(server);
      await running.waitFor(/ready to accept connections/);
    },
    /** Kills all processes of the server with SIGKILL, as a power failure would. */
    async kill() {
      const { exited } = running ?? {};
      for (const pid of pids()) process.kill(pid, 'SIGKILL');
      running = undefined;
      // The output stays open until all of them have ended.
      await exited;
    },
  };
}

/** The child processes of a process. Requires Linux. */
export const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
