import { expect, test } from '@jest/globals';
import { revocationBatch } from './issuer.ts';

const times = { notBefore: '2026-01-01T00:00:00.000Z', expiresAt: '2026-01-01T01:00:00.000Z' };

test.each([0, 1, 5_000, 12_345])(
  'a feed of %p revocations has batches of at most 5,000, with each id once',
  (count) => {
    const ids: string[] = [];
    for (let after = 0, isComplete = false; !isComplete; ) {
      const page = revocationBatch(count, after, times);
      const onPage = page.groups.flatMap((group) => group.ids);
      expect(onPage.length).toBeLessThanOrEqual(5_000);
      expect(page.cursor - after).toBe(onPage.length);
      ids.push(...onPage);
      after = page.cursor;
      isComplete = page.complete;
    }
    expect(new Set(ids).size).toBe(count);
    expect(ids).toHaveLength(count);
  },
);
