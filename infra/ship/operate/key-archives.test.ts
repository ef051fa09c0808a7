import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { packKeys, restoreKeys } from './key-archives.ts';

let directory: string;
let home: string;
let backup: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-backup-'));
  home = join(directory, 'home');
  backup = join(directory, 'backup');
  for (const each of [home, backup]) mkdirSync(each);
});
afterEach(() => rmSync(directory, { recursive: true }));

const pack = (...others: string[]) => packKeys({ root: home, paths: ['gateway-keys', 'one.key'] }, others, backup);
const restore = () => restoreKeys(backup, home);

/** Creates keys outside the home. @returns A function that reads them. */
function makeKeys(): () => unknown {
  mkdirSync(join(directory, 'keys'), { mode: 0o700 });
  const files = ['kek', 'keys/one.jwk.json', 'keys/-h'].map((name) => join(directory, name));
  for (const file of files) writeFileSync(file, `secret of ${file}`, { mode: 0o600 });
  return () =>
    files.map((file) => existsSync(file) && [readFileSync(file, 'utf8'), (statSync(file).mode & 0o777).toString(8)]);
}

test('a home without keys is packed and restored, and the user learns that it has none', () => {
  expect(pack()).toBe(`No keys are backed up: ${home} has none. Name those elsewhere with --keys PATH.`);
  restore();
});

test('keys elsewhere are restored to where they were, unless others are there', () => {
  const keys = makeKeys();
  const before = keys();
  expect(pack(join(directory, 'kek'), join(directory, 'keys'))).toMatch(/^Store keys.tar.gz and other-keys.tar.gz sep/);
  rmSync(join(directory, 'kek'));
  rmSync(join(directory, 'keys'), { recursive: true });
  restore();
  expect(keys()).toEqual(before);
  writeFileSync(join(directory, 'kek'), 'another');
  expect(restore).toThrow(/has other keys or settings.*kek/);
});

test('keys behind links in the home are restored, with or without the links', () => {
  const keys = makeKeys();
  const before = keys();
  symlinkSync(join(directory, 'keys'), join(home, 'gateway-keys'));
  symlinkSync(join(directory, 'kek'), join(home, 'one.key'));
  expect(pack()).toMatch(/^Store keys.tar.gz separately/);
  rmSync(join(directory, 'keys/one.jwk.json'));
  restore();
  expect(keys()).toEqual(before);
  renameSync(home, `${home}-before`);
  rmSync(join(directory, 'keys'), { recursive: true });
  restore();
  for (const name of ['gateway-keys/one.jwk.json', 'one.key'])
    expect(readFileSync(join(home, name), 'utf8')).toContain('secret of');
});

test('a named path that does not exist is an error', () => {
  expect(() => pack(join(directory, 'missing'))).toThrow(/missing: Cannot stat/);
});
