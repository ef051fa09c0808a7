import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TenantQuotas } from './tenant-quotas.ts';

const lifetimeMs = 3_600_000;

describe('the quotas of tenants', () => {
  test('end at the same number for each tenant while there is memory', () => {
    const quotas = new TenantQuotas({ lifetimeMs, maxHeld: 1_000, maxPerTenant: 2 });
    for (const allowed of [true, true, false]) {
      expect(quotas.allows('a', 0, 0)).toBe(allowed);
      if (allowed) quotas.add('a', 0);
    }
    expect(quotas.allows('b', 0, 0)).toBe(true);
    expect(quotas.allows('a', 0, lifetimeMs)).toBe(false);
    expect(quotas.allows('a', 0, lifetimeMs + 1)).toBe(true);
  });

  test('when memory is full, limit the largest tenant first, and every tenant may have one entry', () => {
    const quotas = new TenantQuotas({ lifetimeMs, maxHeld: 64 });
    for (let count = 0; count < 20; count += 1) quotas.add('large', 0);
    for (let count = 0; count < 3; count += 1) quotas.add('small', 0);
    expect([quotas.allows('large', 42, 0), quotas.allows('large', 43, 0)]).toEqual([true, false]);
    expect([quotas.allows('small', 59, 0), quotas.allows('small', 60, 0)]).toEqual([true, false]);
    expect([quotas.allows('none', 63, 0), quotas.allows('none', 64, 0)]).toEqual([true, true]);
  });

  test('leave memory to others, however many events a few tenants cause', () => {
    const tenants = fc.array(fc.nat({ max: 7 }), { minLength: 1_000, maxLength: 3_000 });
    fc.assert(
      fc.property(tenants, (events) => {
        const maxHeld = 1_280;
        const quotas = new TenantQuotas({ lifetimeMs, maxHeld });
        const counts = new Map<number, number>();
        let held = 0;
        for (const tenant of events) {
          const count = counts.get(tenant) ?? 0;
          if (quotas.allows(String(tenant), held, 0)) {
            quotas.add(String(tenant), 0);
            counts.set(tenant, count + 1);
            held += 1;
          } else {
            // No tenant is limited that has fewer entries than there is memory for.
            expect(count).toBeGreaterThanOrEqual(1_260 - held);
          }
        }
        // At most the share that is not reserved, so a ninth tenant finds memory.
        expect(held).toBeLessThanOrEqual(1_260);
        expect(quotas.allows('another', held, 0)).toBe(true);
      }),
      { numRuns: 30, endOnFailure: true },
    );
  });
});
