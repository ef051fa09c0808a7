import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readLine } from './log-line.ts';
import { readLines } from './read-log.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-log-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function read(content: Uint8Array) {
  const file = join(directory, 'log');
  writeFileSync(file, content);
  const lines: string[] = [];
  let bytes = 0;
  for await (const batch of readLines(file, (count) => (bytes += count))) lines.push(...batch);
  return { lines, bytes };
}

describe('a log', () => {
  // Longer than a chunk, with characters of two, three and four bytes at every offset of its boundary.
  const long = Array.from({ length: 30_000 }, (_, index) => `${index} é€😀${'x'.repeat(index % 97)}`);

  test.each<[string, readonly string[], string]>([
    ['nothing', [], ''],
    ['one line without an end', ['a'], 'a'],
    ['one character', ['1', '2'], '1\n2\n'],
    ['empty lines', ['', 'a', ''], '\na\n\n'],
    ['several chunks', long, `${long.join('\n')}\n`],
    ['several chunks without an end', long, long.join('\n')],
  ])('of %s is read line by line, plain and gzip', async (_what, lines, text) => {
    const plain = Buffer.from(text);
    const packed = gzipSync(plain);
    expect(await read(plain)).toEqual({ lines, bytes: plain.length });
    expect(await read(packed)).toEqual({ lines, bytes: packed.length });
    const half = text.length >> 1;
    const parts = [gzipSync(Buffer.from(text.slice(0, half))), gzipSync(Buffer.from(text.slice(half)))];
    if (text.isWellFormed() && text.slice(0, half).isWellFormed())
      expect((await read(Buffer.concat(parts))).lines).toEqual(lines);
  });

  test('with a line that never ends takes no more memory than its longest line may have', async () => {
    const endless = Buffer.alloc(30 * 1024 * 1024, '1');
    const { lines } = await read(Buffer.concat([Buffer.from('{"a":1}\n'), endless, Buffer.from('\n{"b":2}\n')]));
    expect(lines).toHaveLength(3);
    expect([lines[0], lines[2]]).toEqual(['{"a":1}', '{"b":2}']);
    expect(lines[1]?.length).toBeLessThan(4 * 1024 * 1024);
    expect(readLine(lines[1] ?? '')).toBe('broken');
  });
});
