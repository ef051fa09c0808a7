import { expect, test } from '@jest/globals';
import { cpuMicrosOf, familyOf, parseResidentBytes, parseStat, residentBytesOf } from './process-usage.ts';

// Fields 14 and 15 are the ticks in user and in kernel mode (proc_pid_stat(5)).
const statOf = (name: string) => `4711 (${name}) S 42 4711 4711 0 -1 4194560 9 8 7 6 300 45 1 2 20 0 11 0 99 1 2 3`;

test.each(['node', 'a name', 'a) S 1 (b', '(', ')'])('reads CPU time after the process name %p', (name) => {
  expect(parseStat(statOf(name))).toEqual({ pid: 4711, parent: 42, ticks: 345 });
});

test('reads resident memory, and zero for a process that has ended', () => {
  expect(parseResidentBytes('Name:\tnode\nVmHWM:\t  900 kB\nVmRSS:\t  512 kB\nRssAnon:\t 1 kB\n')).toBe(512 * 1024);
  expect(parseResidentBytes('Name:\tnode\n')).toBe(0);
});

test('includes the workers of a process and their children, but no other process', () => {
  const all = [
    [1, 0],
    [10, 1],
    [11, 10],
    [12, 11],
    [20, 1],
  ].map(([pid = 0, parent = 0]) => ({ pid, parent, ticks: 5 }));
  expect(familyOf(10, all).map(({ pid }) => pid)).toEqual([10, 11, 12]);
  expect(familyOf(13, all)).toEqual([]);
});

test('measures this process', () => {
  const before = cpuMicrosOf(process.pid) ?? 0;
  expect(before).toBeGreaterThan(0);
  const { user, system } = process.cpuUsage();
  while (process.cpuUsage().user + process.cpuUsage().system < user + system + 50_000);
  expect(cpuMicrosOf(process.pid)).toBeGreaterThan(before);
  expect(residentBytesOf(process.pid)).toBeGreaterThan(1_000_000);
});

test('returns nothing for a process that does not exist', () => {
  expect(cpuMicrosOf(2 ** 30)).toBeUndefined();
});
