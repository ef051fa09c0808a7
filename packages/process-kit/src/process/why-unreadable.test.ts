import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { whyUnreadable } from './why-unreadable.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-unreadable-'));
  mkdirSync(join(directory, 'keys'));
  writeFileSync(join(directory, 'keys/a.jwk.json'), '{}');
});
afterEach(() => rmSync(directory, { recursive: true }));

const me = process.geteuid?.() ?? 0;
const isRoot = me === 0;

/** Reads as another user where this process is root, whom no mode stops. */
function whyNot(read: () => unknown): string {
  if (isRoot) process.seteuid?.(65_534);
  try {
    read();
    return 'it was read';
  } catch (error) {
    return whyUnreadable(error);
  } finally {
    if (isRoot) process.seteuid?.(me);
  }
}

test.each([
  ['a closed directory', 'keys', 'keys', (path: string) => readdirSync(path)],
  ['a file in a closed directory', 'keys/a.jwk.json', 'keys', (path: string) => readFileSync(path)],
  ['a closed file', 'keys/a.jwk.json', 'keys/a.jwk.json', (path: string) => readFileSync(path)],
])('%s: names the user and mode of what is in the way, and what to do', (_what, read, closed, reader) => {
  chmodSync(directory, 0o755);
  const mode = isRoot ? 0o700 : 0;
  chmodSync(join(directory, closed), mode);
  const why = whyNot(() => reader(join(directory, read)));
  chmodSync(join(directory, closed), 0o700);
  const at = join(directory, closed);
  expect(why).toBe(
    isRoot
      ? `cannot be read (EACCES): ${at} belongs to user 0 and has mode 700, and this process runs as user 65534. Let that user read the file`
      : `cannot be read (EACCES): ${at} belongs to user ${me} and has mode 0. Run chmod u+rX on it`,
  );
});

(isRoot ? test : test.skip)('names the user to run as, unless that is root', () => {
  chmodSync(directory, 0o755);
  chmodSync(join(directory, 'keys'), 0o700);
  chownSync(join(directory, 'keys'), 1_000, 1_000);
  expect(whyNot(() => readdirSync(join(directory, 'keys')))).toMatch(
    /user 1000 and has mode 700, and .* user 65534\. Let that user read the file, or run it as user 1000 \(docker run --user 1000\)$/,
  );
});

test('a missing file has no owner', () => {
  chmodSync(directory, 0o755);
  expect(whyNot(() => readFileSync(join(directory, 'none')))).toBe('cannot be read (ENOENT)');
});
