import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openLogFile, startChild } from './spawn.ts';

// The gateway's workers outlive a primary that was killed, to finish their requests.
test('a process counts as ended when it exits, even if its child processes hold its output open', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-child-'));
  const program = `
    const { spawn } = require('node:child_process');
    const { pid } = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit', detached: true });
    console.log('started', pid);
    process.kill(process.pid, 'SIGKILL');`;
  const spec = { name: 'one', args: ['-e', program], env: {}, readyUrl: '', logFile: join(directory, 'one.log') };
  const child = startChild(spec, directory);
  expect(await child.ended).toBe('SIGKILL');
  const [, pid] = /started (\d+)$/.exec(child.lastLines()) ?? [];
  expect(process.kill(Number(pid), 'SIGKILL')).toBe(true);
  rmSync(directory, { recursive: true });
});

test('appends to an existing file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-log-'));
  const path = join(directory, 'a.log');
  for (const line of ['one\n', 'two\n']) {
    const log = openLogFile(path, (why) => {
      throw why;
    });
    log.write(Buffer.from(line));
    log.close();
  }
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  rmSync(directory, { recursive: true });
});

test('loses lines on a full disk, reports this once, and keeps running', () => {
  const errors: string[] = [];
  const log = openLogFile('/dev/full', ({ message }) => errors.push(message));
  for (let count = 0; count < 3; count += 1) log.write(Buffer.from('a line\n'));
  log.close();
  expect(errors).toEqual([expect.stringContaining('ENOSPC')]);
});
