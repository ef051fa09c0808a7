import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** One core for the server under test, another for the upstream and the load. In the form that `taskset -c` takes. */
export type Cores = Readonly<{ server: string; load: string }>;

/** @returns Undefined if this process may use one core only, or if there is no `taskset`. Nothing is pinned then. */
export function findCores(): Cores | undefined {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    const [server, load] = parseCpuList(allowed);
    return server === undefined || load === undefined ? undefined : { server: String(server), load: String(load) };
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
