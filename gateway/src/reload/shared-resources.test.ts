import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSharedResources, type Resource } from './shared-resources.ts';

function countedResources() {
  const opened: Resource[] = [];
  const stopped: Resource[] = [];
  const shared = createSharedResources();
  const open = () => {
    const resource: Resource = { start() {}, stop: () => void stopped.push(resource) };
    opened.push(resource);
    return resource;
  };
  const leaseOf = (...sizes: number[]) => {
    const lease = shared.lease();
    const resources = sizes.map((size) => lease.use('a', { size }, open));
    return { ...lease, resource: resources[0], resources };
  };
  return { leaseOf, opened, stopped };
}

describe('a shared resource', () => {
  test('is reused only for an equal configuration', () => {
    const { leaseOf } = countedResources();
    const { resource } = leaseOf(1);
    expect(leaseOf(1).resource).toBe(resource);
    expect(leaseOf(2).resource).not.toBe(resource);
  });

  test('stops once, at the last release, and can open again', () => {
    const { leaseOf, opened, stopped } = countedResources();
    const first = leaseOf(1, 1);
    const second = leaseOf(1);
    first.release();
    first.release();
    expect(stopped).toEqual([]);
    second.release();
    expect(stopped).toEqual([first.resource]);
    expect(leaseOf(1).resource).not.toBe(first.resource);
    expect(opened).toHaveLength(2);
  });

  test('stops before the resources that were opened earlier, because it may use them', () => {
    const { leaseOf, stopped } = countedResources();
    const { release, resources } = leaseOf(1, 2, 3);
    release();
    expect(stopped).toEqual([...resources].reverse());
  });

  test('is open exactly while it is in use, in any order of leases', () => {
    const step = fc.record({ isNew: fc.boolean(), sizes: fc.array(fc.nat(2), { minLength: 1 }), pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { leaseOf, opened, stopped } = countedResources();
        const leases: ReturnType<typeof leaseOf>[] = [];
        for (const { isNew, sizes, pick } of steps) {
          if (isNew) leases.push(leaseOf(...sizes));
          else leases.splice(pick % Math.max(1, leases.length), 1)[0]?.release();
          const inUse = new Set(leases.flatMap(({ resources }) => resources));
          expect(new Set(opened.filter((resource) => !stopped.includes(resource)))).toEqual(inUse);
        }
      }),
    );
  });
});
