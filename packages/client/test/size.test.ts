import { resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { build } from 'esbuild';

test('the package is under 10 kB when bundled for browsers and compressed', async () => {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, '../src/index.ts')],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    logLevel: 'silent',
  });
  const [file] = outputFiles;
  expect(gzipSync(file?.contents ?? '', { level: 9 }).byteLength).toBeLessThan(10_000);
  expect(/["`]node:/.test(file?.text ?? '')).toBe(false);
});
