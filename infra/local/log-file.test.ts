import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openLogFile } from './log-file.ts';

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
