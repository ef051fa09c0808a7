import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Which cores each process can use, as `taskset -c` accepts them. */
export type Cores = Readonly<{
  server: string;
  /** The core of the upstream and the load. */
  load: string;
  /** Two cores that nothing else uses, for two workers. Undefined with fewer than four cores. */
  twoServers: string | undefined;
}>;

/** @returns Undefined if this process can use only one core, or if there is no `taskset`. Nothing is pinned then. */
export function findCores(): Cores | undefined {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    const [server, load, third, fourth] = parseCpuList(allowed);
    if (server === undefined || load === undefined) return undefined;
    const twoServers = fourth === undefined ? undefined : `${third},${fourth}`;
    return { server: String(server), load: String(load), twoServers };
  } catch {
    return undefined;
  }
}

/** Reads a list such as `0-3,8`, as Linux writes it. */
export function parseCpuList(text: string): number[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}
