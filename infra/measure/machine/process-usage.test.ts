import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { cpuMicrosOf, familyOf, parseResidentBytes, parseTicks, residentBytesOf } from './process-usage.ts';

// Fields 14 and 15 are the ticks in user and in kernel mode (proc_pid_stat(5)).
const statOf = (name: string) => `4711 (${name}) S 42 4711 4711 0 -1 4194560 9 8 7 6 300 45 1 2 20 0 11 0 99 1 2 3`;

test.each(['node', 'a name', 'a) S 1 (b', '(', ')'])('reads CPU time after the process name %p', (name) => {
  expect(parseTicks(statOf(name))).toBe(345);
});

test('reads resident memory, and zero for a process that has ended', () => {
  expect(parseResidentBytes('Name:\tnode\nVmHWM:\t  900 kB\nVmRSS:\t  512 kB\nRssAnon:\t 1 kB\n')).toBe(512 * 1024);
  expect(parseResidentBytes('Name:\tnode\n')).toBe(0);
});

test('includes the workers of a process and their children, but no other process', async () => {
  const child = spawn('/bin/sh', ['-c', 'sleep 60 & echo $!; wait']);
  try {
    const [grandchild] = await once(child.stdout, 'data');
    expect(familyOf(child.pid ?? 0)).toEqual([child.pid, Number(grandchild)]);
    expect(familyOf(process.pid)).toEqual(expect.arrayContaining([child.pid, Number(grandchild)]));
    process.kill(Number(grandchild));
  } finally {
    child.kill();
  }
});

test('measures this process', () => {
  const before = cpuMicrosOf(process.pid);
  expect(before).toBeGreaterThan(0);
  const { user, system } = process.cpuUsage();
  while (process.cpuUsage().user + process.cpuUsage().system < user + system + 50_000);
  expect(cpuMicrosOf(process.pid)).toBeGreaterThan(before);
  expect(residentBytesOf(process.pid)).toBeGreaterThan(1_000_000);
});

test('has no number for a process that does not exist', () => {
  expect(cpuMicrosOf(2 ** 30)).toBeNaN();
});
