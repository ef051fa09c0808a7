import { describe, expect, test } from '@jest/globals';
import { type Balance, createChooser } from './choose-target.ts';

type State = true | false | 'ejected';

/** True: available. Ejected: its checks pass, its requests failed. False: its checks fail. */
function targets(...given: readonly (readonly [name: string, pending: number, state: State])[]) {
  return given.map(([name, pending, state]) => ({
    name,
    pending,
    isAvailable: () => state === true,
    passesChecks: () => state !== false,
  }));
}

describe('the choice of a target', () => {
  test.each<[string, Balance, ReturnType<typeof targets>, string]>([
    ['each its turn', 'round-robin', targets(['a', 9, true], ['b', 0, true], ['c', 0, true]), 'abcabc'],
    ['without those that are out', 'round-robin', targets(['a', 0, true], ['b', 0, false], ['c', 0, true]), 'acacac'],
    ['all where all are out', 'round-robin', targets(['a', 0, false], ['b', 0, false]), 'abab'],
    ['all where all are ejected', 'round-robin', targets(['a', 0, 'ejected'], ['b', 0, 'ejected']), 'abab'],
    [
      'an ejected one before one whose checks fail',
      'round-robin',
      targets(['a', 0, false], ['b', 0, 'ejected']),
      'bbb',
    ],
    ['the one with the least to do', 'least-pending', targets(['a', 2, true], ['b', 1, true], ['c', 3, true]), 'bbb'],
    ['turns between equals', 'least-pending', targets(['a', 1, true], ['b', 1, true], ['c', 2, true]), 'abab'],
    ['the least of those that are not out', 'least-pending', targets(['a', 2, true], ['b', 0, false]), 'aa'],
    ['the only one', 'least-pending', targets(['a', 2, false]), 'aa'],
  ])('%s', (_name, balance, all, expected) => {
    const choose = createChooser(all, balance);
    expect(Array.from(expected, () => choose(0).name).join('')).toBe(expected);
  });

  test.each<Balance>(['round-robin', 'least-pending'])(
    'goes elsewhere after a failure, also to one that is out: %s',
    (balance) => {
      const all = targets(['a', 0, true], ['b', 5, false]);
      const choose = createChooser(all, balance);
      expect(choose(0, all[0]).name).toBe('b');
      expect(createChooser(all.slice(0, 1), balance)(0, all[0]).name).toBe('a');
    },
  );

  test('spreads evenly, and over the others when one is out', () => {
    let isOut = false;
    const all = ['a', 'b', 'c'].map((name) => ({
      name,
      pending: 0,
      isAvailable: () => !(isOut && name === 'b'),
      passesChecks: () => true,
    }));
    const choose = createChooser(all, 'round-robin');
    const count = () => {
      const counts: Record<string, number> = {};
      for (let turn = 0; turn < 300; turn += 1) {
        const { name } = choose(0);
        counts[name] = (counts[name] ?? 0) + 1;
      }
      return counts;
    };
    expect(count()).toEqual({ a: 100, b: 100, c: 100 });
    isOut = true;
    expect(count()).toEqual({ a: 150, c: 150 });
  });
});
