import { readFileSync } from 'node:fs';

// Linux counts CPU time in clock ticks, 100 a second wherever Node runs.
const microsPerTick = 10_000;

/** Parses the clock ticks in user and kernel mode in `/proc/PID/stat` (proc_pid_stat(5)). */
export function parseTicks(text: string): number {
  // The command name may contain spaces and parentheses, so the fields are counted from its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** Parses `VmRSS` in `/proc/PID/status`. A process that has just ended has none. */
export function parseResidentBytes(text: string): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** The process and its descendants, so that workers count too. */
export function familyOf(pid: number): number[] {
  const children = readProc(`${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

/** @returns CPU microseconds of the process and its descendants so far. NaN if there is no such process or `/proc`. */
export function cpuMicrosOf(pid: number | undefined): number {
  if (pid === undefined) return Number.NaN;
  return sum(familyOf(pid).map((member) => parseTicks(readProc(`${member}/stat`)))) * microsPerTick;
}

/** @returns Resident bytes of the process and its descendants. */
export const residentBytesOf = (pid: number): number =>
  sum(familyOf(pid).map((member) => parseResidentBytes(readProc(`${member}/status`))));

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** A process may end at any moment, so a missing file is empty. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}
