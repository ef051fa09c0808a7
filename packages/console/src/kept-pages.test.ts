import { eventually } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { KeptPages } from './routes.ts';

const atOnce = <Result>(render: () => Promise<Result>): Promise<Result> => render();

test('renders a URL once a second for all readers, and each URL separately', async () => {
  const kept = new KeptPages<string>(atOnce);
  let count = 0;
  const read = (url: string) =>
    kept.of(url, async () => {
      count += 1;
      return `${url} ${count}`;
    });
  const all = await Promise.all(['/a', '/a', '/b', '/a', '/b'].map(read));
  expect(all).toEqual(['/a 1', '/a 1', '/b 2', '/a 1', '/b 2']);
  expect(await read('/a')).toBe('/a 1');
  await eventually(async () => expect(await read('/a')).toBe('/a 3'));
});

test('does not keep failures, and continues after one', async () => {
  const kept = new KeptPages<string>(atOnce);
  await expect(kept.of('/a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await kept.of('/a', async () => 'mended')).toBe('mended');
});
