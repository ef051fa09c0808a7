import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { whyNotPrivate } from './private-file.ts';

const self = { uid: 1000, groups: [1000, 2000] };
const root = 0;
const stranger = 1001;

test.each([
  [0o600, self.uid, 1000],
  [0o400, self.uid, 3000],
  [0o700, self.uid, 3000],
  [0o400, stranger, 3000],
  [0o440, root, 2000],
  [0o640, root, 2000],
  [0o440, root, 1000],
  [0o640, self.uid, 2000],
])('mode %o, owner %i and group %i may contain a private key', (mode, uid, gid) => {
  expect(whyNotPrivate({ mode: 0o100_000 | mode, uid, gid }, self)).toBeUndefined();
});

test.each([
  [0o440, root, 3000, 'group 3000 may read it (mode 440), and this process is not in it'],
  [0o640, self.uid, 3000, 'group 3000 may read it (mode 640), and this process is not in it'],
  [0o440, stranger, 2000, "its group may read it (mode 440), and neither root nor this process's user owns it"],
  [0o644, root, 2000, 'others may read it (mode 644). Run chmod 600 on it'],
  [0o444, root, 2000, 'others may read it (mode 444). Run chmod 600 on it'],
  [0o604, root, 2000, 'others may read it (mode 604)'],
  [0o602, root, 2000, 'others may read it (mode 602)'],
  [0o660, root, 2000, 'others may read it (mode 660)'],
  [0o620, root, 2000, 'others may read it (mode 620)'],
  [0o450, root, 2000, 'others may read it (mode 450)'],
  [0o441, root, 2000, 'others may read it (mode 441)'],
  [0o777, root, 2000, 'others may read it (mode 777)'],
])('mode %o, owner %i and group %i may not', (mode, uid, gid, why) => {
  expect(whyNotPrivate({ mode: 0o100_000 | mode, uid, gid }, self)).toContain(why);
});

const asRoot = process.geteuid?.() === 0 ? test : test.skip;

asRoot('asks the file behind the links of a Kubernetes Secret, and this process', () => {
  const home = mkdtempSync(join(tmpdir(), 'private-file-'));
  const secret = join(home, '..2026_11_28', 'tls.key');
  mkdirSync(join(home, '..2026_11_28'));
  writeFileSync(secret, '');
  symlinkSync('..2026_11_28', join(home, '..data'));
  symlinkSync('..data/tls.key', join(home, 'tls.key'));
  const judge = (mode: number, uid: number, gid: number) => {
    chmodSync(secret, mode);
    chownSync(secret, uid, gid);
    return whyNotPrivate(statSync(join(home, 'tls.key')));
  };
  const [group = 0] = process.getgroups?.() ?? [];
  const strange = 54_321;
  expect(judge(0o440, 0, group)).toBeUndefined();
  expect(judge(0o440, 0, strange)).toContain('this process is not in it');
  expect(judge(0o440, strange, group)).toContain('neither root');
  expect(judge(0o444, 0, group)).toContain('others may read it');
  rmSync(home, { recursive: true });
});
