import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startProcess } from '@countersign/testing';
import { afterAll, describe, expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../../..');
const home = mkdtempSync(join(tmpdir(), 'countersign-durable-'));
afterAll(() => rmSync(home, { recursive: true }));

/** Runs a program, and returns the file calls that it made after it read its modules: Node traces them. */
async function callsOf(file: string, program: string): Promise<string[]> {
  const directory = mkdtempSync(join(home, 'files-'));
  const trace = `${directory}.json`;
  const code = `import * as it from ${JSON.stringify(join(root, file))};
    import { existsSync, lstatSync } from 'node:fs';
    const directory = ${JSON.stringify(directory)};
    existsSync('begin');
    ${program}
    existsSync('end');`;
  const traced = ['--trace-event-categories', 'node.fs.sync,node.fs.async', '--trace-event-file-pattern', trace];
  const run = startProcess({ args: [...traced, '--input-type=module', '--eval', code] });
  expect([await run.exited, run.output()]).toEqual([0, '']);
  const { traceEvents } = JSON.parse(readFileSync(trace, 'utf8')) as {
    traceEvents: { ph: string; name: string; ts: number }[];
  };
  const calls = traceEvents
    .filter(({ ph, name: call }) => /^[Bb]$/.test(ph) && /^(?:fs\.sync\.)?\w+$/.test(call))
    .toSorted((a, b) => a.ts - b.ts)
    .map(({ name: call }) => call.replace('fs.sync.', ''));
  const [begin = 0, end] = calls.flatMap((call, at) => (call === 'access' ? [at] : [])).slice(-2);
  return calls.slice(begin + 1, end);
}

const ofJournal = `const journal = new it.Journal({ directory });
  const origin = { source: 'shared_signals', event: 'session-revoked', jti: 'j', atMs: 1 };
  journal.open();
  journal.follow('i', () => void lstatSync(directory));
  await journal.append([{ issuer: 'i', kind: 'user', name: 'a', notBeforeMs: 1, expiresAtMs: 2e12, origin }]);`;
const ofStore = `import { Readable } from 'node:stream';
  const store = it.createAttachmentStore(directory);
  const file = await store.receive(Readable.from([Buffer.from('%PDF-1.4 %%EOF')]), 1e6, {});
  await file.keepAs('0197c2a0-0000-7000-8000-000000000001');`;

// Without these calls, a crash of the machine can lose what the file system had only in memory.
describe('what is written survives a crash of the machine', () => {
  test.each<[string, string, string, string]>([
    [
      'an acknowledged event',
      'packages/signals/src/journal.ts',
      ofJournal,
      // Followers, which apply the event, are called last.
      'mkdir open write fsync open fsync close write fdatasync lstat',
    ],
    [
      'a new key file',
      'packages/process-kit/src/process/write-file.ts',
      `it.createFile(directory + '/a', 'x', 0o600)`,
      'open fchmod write fsync close link lstat open fsync close',
    ],
    [
      'a replaced key file',
      'packages/process-kit/src/process/write-file.ts',
      `it.replaceFile(directory + '/a', 'x', 0o600)`,
      'open fchmod write fsync close rename open fsync close',
    ],
    [
      'a new agreement key',
      'packages/identity/src/keys/agreement-directory.ts',
      'it.agreementDirectory(directory, () => 1).add()',
      'mkdir readdir open fchmod write fsync close link lstat',
    ],
    [
      'an attachment',
      'complaint-service/src/files/attachment-store.ts',
      ofStore,
      'unlink open write close read unlink open fsync close rename open fsync close',
    ],
  ])('%s', async (_what, file, program, expected) => {
    expect((await callsOf(file, program)).join(' ')).toBe(expected);
  });

  test('every file that flushes is in this table', () => {
    const flushing = execFileSync('git', ['grep', '-lE', 'fsync|fdatasync|\\.sync\\(\\)', '--', '*/src/*.ts'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(flushing.trim().split('\n')).toEqual([
      'complaint-service/src/files/attachment-store.ts',
      'packages/identity/src/keys/agreement-directory.ts',
      'packages/process-kit/src/process/write-file.ts',
      'packages/signals/src/journal.ts',
    ]);
  });
});
