import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKept } from './shared-resource.ts';

type Wish = { name: string; size: number };

function parts() {
  const opened: Wish[] = [];
  const closed: Wish[] = [];
  const kept = createKept<Wish, Wish, readonly [object]>({
    nameOf: ({ name }) => name,
    open(wish) {
      const part = { ...wish };
      opened.push(part);
      return part;
    },
    close: (part) => void closed.push(part),
  });
  return { kept, opened, closed };
}

describe('kept parts', () => {
  const on = {};

  test('are the very same for equal wishes on the same things, and others otherwise', () => {
    const { kept } = parts();
    const { part } = kept.take({ name: 'a', size: 1 }, on);
    expect(kept.take({ name: 'a', size: 1 }, on).part).toBe(part);
    expect(kept.take({ name: 'a', size: 2 }, on).part).not.toBe(part);
    expect(kept.take({ name: 'a', size: 1 }, {}).part).not.toBe(part);
  });

  test('are closed once, by the last who releases them, and opened anew after that', () => {
    const { kept, closed, opened } = parts();
    const [first, second] = [kept.take({ name: 'a', size: 1 }, on), kept.take({ name: 'a', size: 1 }, on)];
    first.release();
    first.release();
    expect(closed).toEqual([]);
    second.release();
    expect(closed).toEqual([{ name: 'a', size: 1 }]);
    expect(kept.take({ name: 'a', size: 1 }, on).part).not.toBe(first.part);
    expect(opened).toHaveLength(2);
  });

  test('whoever holds one holds it open, in any order of taking and releasing', () => {
    const step = fc.record({ isTaken: fc.boolean(), size: fc.integer({ min: 0, max: 2 }), pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { kept, opened, closed } = parts();
        const held: ReturnType<typeof kept.take>[] = [];
        for (const { isTaken, size, pick } of steps) {
          if (isTaken) held.push(kept.take({ name: 'a', size }, on));
          else held.splice(pick % Math.max(1, held.length), 1)[0]?.release();
          const inUse = new Set(held.map(({ part }) => part));
          expect(new Set(opened.filter((part) => !closed.includes(part)))).toEqual(inUse);
          for (const part of inUse) expect(closed).not.toContain(part);
        }
      }),
    );
  });
});
