import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addressKey, widerKey } from '../http/ip-address.ts';
import { Turns } from './turns.ts';

type Waiter = Readonly<{ id: number; address: string; keptFor?: string | undefined }>;

/** Adds waiters, numbered in order of arrival. Returns the numbers of those that lost their place meanwhile. */
function addAll(turns: Turns<Waiter>, claims: readonly Omit<Waiter, 'id'>[], from = 0): number[] {
  return claims.flatMap((claim, index) => turns.add(claim, { id: from + index, ...claim })?.id ?? []);
}

const times = (count: number, address: string) => Array.from({ length: count }, () => ({ address }));

function drain(turns: Turns<Waiter>): Waiter[] {
  const order = [];
  for (let next = turns.next(); next !== undefined; next = turns.next()) order.push(next);
  return order;
}

describe('turns', () => {
  test('go round by address, and within an address in order of arrival', () => {
    const turns = new Turns<Waiter>({ maxWaiting: 100 });
    addAll(turns, [...times(3, '192.0.2.1'), ...times(2, '2001:db8::1'), ...times(1, '2001:db8::2'), { address: '' }]);
    expect(drain(turns).map(({ id }) => id)).toEqual([0, 3, 6, 1, 4, 2, 5]);
  });

  test.each([
    ['one IPv4 address', (_: number) => '192.0.2.1', 50],
    ['one /64', (n: number) => `2001:db8:0:1::${n.toString(16)}`, 50],
    ['one /48', (n: number) => `2001:db8:0:${n.toString(16)}::1`, 50],
    ['three IPv4 addresses', (n: number) => `192.0.2.${n % 3}`, 75],
    ['three /48', (n: number) => `2001:db8:${n % 3}:${Math.floor(n / 3).toString(16)}::1`, 100],
  ])('%s cannot take more than a share, and leaves room for another address', (_, addressOf, most) => {
    const turns = new Turns<Waiter>({ maxWaiting: 100 });
    addAll(
      turns,
      Array.from({ length: 1_000 }, (__, n) => ({ address: addressOf(n) })),
    );
    expect(turns.size).toBeLessThanOrEqual(most);
    const mine = { id: -1, address: '198.51.100.7' };
    expect(turns.add(mine, mine)).not.toBe(mine);
  });

  test('a full queue makes room for an address with fewer waiters, at the cost of the one with the most', () => {
    const turns = new Turns<Waiter>({ maxWaiting: 8 });
    // Each address has two of eight places.
    addAll(
      turns,
      ['a', 'b', 'c', 'd'].flatMap((address) => times(2, address)),
    );
    expect(addAll(turns, times(1, 'e'), 8)).toEqual([1]);
    expect(addAll(turns, times(2, 'e'), 9)).toEqual([9, 10]);
    expect(drain(turns).map(({ address }) => address)).toEqual(['a', 'b', 'c', 'd', 'e', 'b', 'c', 'd']);
  });

  test('a queue that is full of addresses with one waiter each refuses the next address', () => {
    const turns = new Turns<Waiter>({ maxWaiting: 4 });
    expect(
      addAll(
        turns,
        ['a', 'b', 'c', 'd', 'e'].map((address) => ({ address })),
      ),
    ).toEqual([4]);
  });

  test('counts IPv6 by /48 once many addresses wait', () => {
    const turns = new Turns<Waiter>({ maxWaiting: 8 });
    addAll(
      turns,
      ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'].map((address) => ({ address })),
    );
    // A quarter of eight places, for a whole /48.
    expect(
      addAll(
        turns,
        [1, 2, 3].map((n) => ({ address: `2001:db8:0:${n}::1` })),
        4,
      ),
    ).toEqual([6]);
  });

  test('a kept place is for one waiter of a name, and every fourth turn is for the kept places', () => {
    const turns = new Turns<Waiter>({ maxWaiting: 12, kept: 3 });
    const flood = Array.from({ length: 9 }, (_, n) => ({ address: `192.0.2.${n}` }));
    expect(addAll(turns, [...flood, { address: '198.51.100.1' }])).toEqual([9]);
    const own = (keptFor: string) => ({ address: '192.0.2.0', keptFor });
    expect(addAll(turns, [own('ann'), own('ann'), own('bob')], 10)).toEqual([11]);
    expect(drain(turns).map(({ id }) => id)).toEqual([0, 1, 2, 10, 3, 4, 5, 12, 6, 7, 8]);
  });

  test('refuses every waiter in a queue without places', () => {
    expect(addAll(new Turns({ maxWaiting: 0 }), times(1, '192.0.2.1'))).toEqual([0]);
  });
});

const anyAddress = fc.oneof(
  fc.nat(5).map((n) => `192.0.2.${n}`),
  fc.tuple(fc.nat(2), fc.nat(9), fc.nat(1)).map(([a, b, c]) => `2001:db8:${a}:${b}::${c}`),
);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('add'), address: anyAddress, keptFor: fc.constant(undefined) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('add'), address: anyAddress, keptFor: fc.constantFrom('x', 'y', 'z') }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('next') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove'), which: fc.nat() }) },
) as fc.Arbitrary<Readonly<{ kind: string; address?: string; keptFor?: string; which?: number }>>;

test('keeps every bound, loses no waiter and serves none twice, whatever happens', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 0, max: 24 }), fc.nat(4), (steps, max, kept) => {
      fc.pre(kept <= max);
      const turns = new Turns<Waiter>({ maxWaiting: max, kept });
      const waiting = new Map<number, Waiter>();
      const shared = max - kept;
      for (const [id, { kind, address = '', keptFor, which = 0 }] of steps.entries()) {
        if (kind === 'add') {
          const waiter = { id, address, keptFor };
          const before = [...waiting.values()];
          const lost = turns.add(waiter, waiter);
          waiting.set(id, waiter);
          if (lost !== undefined) expect(waiting.delete(lost.id)).toBe(true);
          // Only a full queue refuses the first waiter of an address and its /48.
          const isAlone = before.every((one) => widerKey(addressKey(one.address)) !== widerKey(addressKey(address)));
          if (lost === waiter && isAlone) expect(before.length).toBeGreaterThanOrEqual(shared);
        } else if (kind === 'next') {
          const next = turns.next();
          expect(next === undefined).toBe(waiting.size === 0);
          if (next !== undefined) expect(waiting.delete(next.id)).toBe(true);
        } else {
          const chosen = [...waiting.values()][which % Math.max(1, waiting.size)];
          if (chosen === undefined) continue;
          turns.remove(chosen);
          waiting.delete(chosen.id);
        }
        expect(turns.size).toBe(waiting.size);
        expect(waiting.size).toBeLessThanOrEqual(max);
        for (const own of Map.groupBy(waiting.values(), (one) => addressKey(one.address)).values()) {
          expect(own.length).toBeLessThanOrEqual(Math.ceil(shared / 2) + 1 + kept);
        }
      }
      expect(new Set(drain(turns))).toEqual(new Set(waiting.values()));
      expect(turns.size).toBe(0);
    }),
  );
});

test('a waiter that is alone at its address waits at most one turn of each other address', () => {
  fc.assert(
    fc.property(fc.array(anyAddress, { maxLength: 60 }), fc.array(anyAddress, { maxLength: 60 }), (before, later) => {
      const turns = new Turns<Waiter>({ maxWaiting: 1_000 });
      addAll(
        turns,
        before.map((address) => ({ address })),
      );
      const mine = { id: -1, address: '198.51.100.7' };
      turns.add(mine, mine);
      const others = new Set(before.map(addressKey)).size;
      let waited = 0;
      // Others keep arriving between the turns.
      for (let next = turns.next(); next !== mine; next = turns.next()) {
        waited += 1;
        const address = later[waited % Math.max(1, later.length)] ?? '192.0.2.99';
        turns.add({ address }, { id: 1_000 + waited, address });
      }
      expect(waited).toBeLessThanOrEqual(others);
    }),
  );
});
