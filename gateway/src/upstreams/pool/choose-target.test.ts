import { describe, expect, test } from '@jest/globals';
import { type Balance, createChooser } from './choose-target.ts';

type State = true | false | 'ejected';

/** True means available. `ejected` means that checks pass but requests failed. False means that checks fail. */
function targets(...given: readonly (readonly [name: string, pending: number, state: State])[]) {
  return given.map(([name, pending, state]) => ({
    name,
    pending,
    isAvailable: () => state === true,
    passesChecks: () => state !== false,
  }));
}

describe('choosing a target', () => {
  test.each<[string, Balance, ReturnType<typeof targets>, string]>([
    ['takes turns', 'round-robin', targets(['a', 9, true], ['b', 0, true], ['c', 0, true]), 'abcabc'],
    ['skips unavailable targets', 'round-robin', targets(['a', 0, true], ['b', 0, false], ['c', 0, true]), 'acacac'],
    ['uses all targets if all are unavailable', 'round-robin', targets(['a', 0, false], ['b', 0, false]), 'abab'],
    ['uses all targets if all are ejected', 'round-robin', targets(['a', 0, 'ejected'], ['b', 0, 'ejected']), 'abab'],
    [
      'prefers an ejected target to one with failing checks',
      'round-robin',
      targets(['a', 0, false], ['b', 0, 'ejected']),
      'bbb',
    ],
    [
      'takes the target with the fewest requests',
      'least-pending',
      targets(['a', 2, true], ['b', 1, true], ['c', 3, true]),
      'bbb',
    ],
    [
      'alternates between targets with equally many requests',
      'least-pending',
      targets(['a', 1, true], ['b', 1, true], ['c', 2, true]),
      'abab',
    ],
    [
      'takes the available target with the fewest requests',
      'least-pending',
      targets(['a', 2, true], ['b', 0, false]),
      'aa',
    ],
    ['takes the only target', 'least-pending', targets(['a', 2, false]), 'aa'],
  ])('%s', (_name, balance, all, expected) => {
    const choose = createChooser(all, balance);
    expect(Array.from(expected, () => choose(0).name).join('')).toBe(expected);
  });

  test.each<Balance>(['round-robin', 'least-pending'])(
    'chooses another target after a failure, even an unavailable one: %s',
    (balance) => {
      const all = targets(['a', 0, true], ['b', 5, false]);
      const choose = createChooser(all, balance);
      expect(choose(0, all[0]).name).toBe('b');
      expect(createChooser(all.slice(0, 1), balance)(0, all[0]).name).toBe('a');
    },
  );

  test('spreads requests evenly, and over the other targets if one is unavailable', () => {
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
