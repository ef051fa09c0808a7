import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { StoredEnd } from './end.ts';
import { Journal, type JournalOptions } from './journal.ts';

const issuer = 'https://sso.example.test';
const clock = {
  now: Date.UTC(2026, 0, 1),
  nowMs: () => clock.now,
  advance(ms: number) {
    clock.now += ms;
  },
};
const origin = { source: 'shared_signals', event: 'session-revoked', jti: 'j', atMs: clock.nowMs() } as const;
const entry = (name: string, lifetimeMs = 900_000): StoredEnd => ({
  issuer,
  kind: 'user',
  name,
  notBeforeMs: clock.nowMs(),
  expiresAtMs: clock.nowMs() + lifetimeMs,
  origin,
});

async function namesIn(journal: Journal, iss = issuer): Promise<string[]> {
  const names: string[] = [];
  for await (const batch of journal.read(iss)) names.push(...batch.map(({ name }) => name));
  return names;
}

describe('the journal', () => {
  let directory: string;
  const open = (options: Partial<JournalOptions> = {}) => {
    const journal = new Journal({ directory, nowMs: clock.nowMs, ...options });
    journal.open();
    return journal;
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'countersign-journal-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('has its entries after a restart, those of other issuers apart', async () => {
    const journal = open();
    await Promise.all([journal.append([entry('a'), entry('b')]), journal.append([entry('c')])]);
    await journal.append([{ ...entry('x'), issuer: 'https://other.example.test' }]);
    journal.close();
    const again = open();
    expect(await namesIn(again)).toEqual(['a', 'b', 'c']);
    expect(await namesIn(again, 'https://other.example.test')).toEqual(['x']);
    again.close();
  });

  test('calls followers once an entry is on disk', async () => {
    const journal = open();
    const heard: string[] = [];
    const stop = journal.follow(issuer, (entries) => {
      const onDisk = readdirSync(directory).map((file) => readFileSync(join(directory, file), 'utf8'));
      for (const { name } of entries) if (onDisk.join('').includes(`"${name}"`)) heard.push(name);
    });
    await journal.append([entry('a')]);
    stop();
    await journal.append([entry('b')]);
    expect(heard).toEqual(['a']);
    journal.close();
  });

  test('cut at every byte keeps every whole line before the cut', async () => {
    const journal = open();
    for (const name of ['a', 'b', 'c']) await journal.append([entry(name)]);
    journal.close();
    const [file = ''] = readdirSync(directory);
    const bytes = readFileSync(join(directory, file));
    const cut = join(directory, 'cut');
    mkdirSync(cut);
    const ends = [...bytes.toString().matchAll(/[^\n]+/g)].map((line) => line.index + line[0].length);
    for (let length = 0; length <= bytes.length; length += 1) {
      writeFileSync(join(cut, file), bytes.subarray(0, length));
      const reader = new Journal({ directory: cut, nowMs: clock.nowMs });
      expect(await namesIn(reader)).toEqual(['a', 'b', 'c'].filter((_, at) => (ends[at] ?? 0) <= length));
    }
  });

  test('cut anywhere has all ends of one token, or none', async () => {
    const journal = open();
    const ofOneToken = ['a', 'b', 'c'].map((name) => entry(name));
    await journal.append([...ofOneToken, { ...entry('d'), origin: { ...origin, jti: 'another' } }]);
    journal.close();
    const [file = ''] = readdirSync(directory);
    const bytes = readFileSync(join(directory, file));
    const cut = join(directory, 'cut');
    mkdirSync(cut);
    const seen = new Set<string>();
    for (let length = 0; length <= bytes.length; length += 7) {
      writeFileSync(join(cut, file), bytes.subarray(0, length));
      seen.add((await namesIn(new Journal({ directory: cut, nowMs: clock.nowMs }))).join(''));
    }
    seen.add((await namesIn(open())).join(''));
    expect([...seen]).toEqual(['', 'abc', 'abcd']);
  });

  test('skips a damaged line, and reads those behind it', async () => {
    const journal = open();
    for (const name of ['a', 'b', 'c']) await journal.append([entry(name)]);
    journal.close();
    const [file = ''] = readdirSync(directory);
    const text = readFileSync(join(directory, file), 'utf8');
    writeFileSync(join(directory, file), text.replace('"b"', '"z"'));
    const damaged: [string, number][] = [];
    const again = open({ onDamaged: (...lines) => damaged.push(lines) });
    expect(await namesIn(again)).toEqual(['a', 'c']);
    expect(damaged).toEqual([[file, 1]]);
    again.close();
  });

  test('of two processes has the entries of both, and they never write to one file', async () => {
    const [first, second] = [open(), open()];
    await Promise.all([first.append([entry('a')]), second.append([entry('b')])]);
    expect((await namesIn(first)).sort()).toEqual(['a', 'b']);
    expect(readdirSync(directory)).toHaveLength(2);
    first.close();
    second.close();
  });

  test('removes a file when all its entries have expired, and keeps from when on it is complete', async () => {
    const old = open();
    await old.cover(issuer, clock.nowMs());
    const sinceMs = clock.nowMs();
    await old.append([entry('a')]);
    old.close();
    clock.advance(3 * 3_600_000);
    const journal = open();
    expect(await namesIn(journal)).toEqual([]);
    await journal.cover(issuer, journal.sinceMs(issuer) ?? 0);
    expect(readdirSync(directory)).toHaveLength(1);
    journal.close();
    const again = open();
    expect(await namesIn(again)).toEqual([]);
    expect(again.sinceMs(issuer)).toBe(sinceMs);
    again.close();
  });

  test('begins another file after an hour, and after 8 MiB', async () => {
    const journal = open();
    await journal.append([entry('a')]);
    clock.advance(3_600_000);
    await journal.append([entry('b', 7_200_000)]);
    await journal.append(
      Array.from({ length: 40_000 }, (_, at) => ({ ...entry(`user-${at}`), origin: { ...origin, jti: `j-${at}` } })),
    );
    await journal.append([entry('c')]);
    expect(readdirSync(directory)).toHaveLength(3);
    expect(await namesIn(journal)).toHaveLength(40_002);
    journal.close();
  });

  test('that cannot be written is refused at the start', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(() => open({ directory: join(directory, 'file') })).toThrow(/EEXIST/);
    expect(() => open({ directory: join(directory, 'file', 'below') })).toThrow(/ENOTDIR/);
  });
});

// A file system of 64 KiB, which needs root. CI's containers run as root.
const disk = mkdtempSync(join(tmpdir(), 'countersign-disk-'));
const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status === 0;

(isMounted ? test : test.skip)(
  'a full disk is 503 until there is space again, and loses nothing acknowledged',
  async () => {
    try {
      const journal = new Journal({ directory: disk, nowMs: clock.nowMs });
      journal.open();
      const kept: string[] = [];
      let code: unknown;
      for (let at = 0; code === undefined && at < 1_000; at += 1) {
        await journal.append([entry(`user-${at}`)]).then(
          () => kept.push(`user-${at}`),
          (error: NodeJS.ErrnoException) => {
            code = error.code;
          },
        );
      }
      expect(code).toBe('ENOSPC');
      expect(kept.length).toBeGreaterThan(50);
      spawnSync('mount', ['-o', 'remount,size=1m', disk]);
      await journal.append([entry('after')]);
      expect(await namesIn(journal)).toEqual([...kept, 'after']);
      journal.close();
    } finally {
      spawnSync('umount', [disk]);
      rmSync(disk, { recursive: true, force: true });
    }
  },
);
