import { readdirSync, readFileSync } from 'node:fs';

/** What Linux reports about a process. CPU time is in clock ticks, 100 a second on every Linux that Node supports. */
export type ProcessStat = Readonly<{ pid: number; parent: number; ticks: number }>;

const ticksPerSecond = 100;

/** Parses `/proc/PID/stat` (proc_pid_stat(5)). */
export function parseStat(text: string): ProcessStat {
  // The command name may contain spaces and parentheses, so the fields are counted from its end.
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  return {
    pid: Number.parseInt(text, 10),
    parent: Number(fields[1]),
    ticks: Number(fields[11]) + Number(fields[12]),
  };
}

/** Parses `VmRSS` in `/proc/PID/status`. A process that has just ended has none. */
export function parseResidentBytes(text: string): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** Includes all descendants of the process, so that workers count too. */
export function familyOf(pid: number, all: readonly ProcessStat[]): ProcessStat[] {
  const own = all.filter((stat) => stat.pid === pid);
  return own.concat(all.filter(({ parent }) => parent === pid).flatMap((child) => familyOf(child.pid, all)));
}

/** @returns CPU microseconds of the process and its descendants so far. Undefined if there is no `/proc`. */
export function cpuMicrosOf(pid: number): number | undefined {
  const family = familyOf(pid, allProcesses());
  if (family.length === 0) return undefined;
  return family.reduce((sum, { ticks }) => sum + ticks, 0) * (1_000_000 / ticksPerSecond);
}

/** @returns Resident bytes of the process and its descendants. */
export function residentBytesOf(pid: number): number {
  return familyOf(pid, allProcesses()).reduce(
    (sum, { pid: member }) => sum + parseResidentBytes(readProc(`${member}/status`)),
    0,
  );
}

function allProcesses(): ProcessStat[] {
  let names: string[] = [];
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    // Not Linux.
  }
  return names.map((name) => readProc(`${name}/stat`)).flatMap((text) => (text === '' ? [] : [parseStat(text)]));
}

/** A process may end at any moment, so a missing file is empty. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}
