import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SharedResource } from './shared-resource.ts';

type Config = { name: string; size: number };

function sharedConfigs() {
  const opened: Config[] = [];
  const closed: Config[] = [];
  const shared = new SharedResource<Config, Config, readonly [object]>({
    nameOf: ({ name }) => name,
    open(config) {
      const resource = { ...config };
      opened.push(resource);
      return resource;
    },
    close: (resource) => void closed.push(resource),
  });
  return { shared, opened, closed };
}

describe('a shared resource', () => {
  const dependency = {};

  test('is reused for an equal configuration with the same dependencies only', () => {
    const { shared } = sharedConfigs();
    const { resource } = shared.acquire({ name: 'a', size: 1 }, dependency);
    expect(shared.acquire({ name: 'a', size: 1 }, dependency).resource).toBe(resource);
    expect(shared.acquire({ name: 'a', size: 2 }, dependency).resource).not.toBe(resource);
    expect(shared.acquire({ name: 'a', size: 1 }, {}).resource).not.toBe(resource);
  });

  test('closes once, at the last release, and opens again after that', () => {
    const { shared, closed, opened } = sharedConfigs();
    const first = shared.acquire({ name: 'a', size: 1 }, dependency);
    const second = shared.acquire({ name: 'a', size: 1 }, dependency);
    first.release();
    first.release();
    expect(closed).toEqual([]);
    second.release();
    expect(closed).toEqual([{ name: 'a', size: 1 }]);
    expect(shared.acquire({ name: 'a', size: 1 }, dependency).resource).not.toBe(first.resource);
    expect(opened).toHaveLength(2);
  });

  test('is open exactly while it is in use, in any order of acquire and release', () => {
    const step = fc.record({ isAcquire: fc.boolean(), size: fc.integer({ min: 0, max: 2 }), pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { shared, opened, closed } = sharedConfigs();
        const refs: ReturnType<typeof shared.acquire>[] = [];
        for (const { isAcquire, size, pick } of steps) {
          if (isAcquire) refs.push(shared.acquire({ name: 'a', size }, dependency));
          else refs.splice(pick % Math.max(1, refs.length), 1)[0]?.release();
          const inUse = new Set(refs.map(({ resource }) => resource));
          expect(new Set(opened.filter((resource) => !closed.includes(resource)))).toEqual(inUse);
          for (const resource of inUse) expect(closed).not.toContain(resource);
        }
      }),
    );
  });
});
