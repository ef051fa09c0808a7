import { describe, expect, test } from '@jest/globals';
import { StateHistory } from './state-history.ts';

const at = (ms: number) => new Date(ms).toISOString();

describe('the state history', () => {
  const upstream = (state: string, why?: string) => [{ kind: 'upstream', name: 'a', state, why }];

  test('knows when a state began and what the previous state was', () => {
    const history = new StateHistory();
    history.observe(upstream('up'), 1);
    history.observe(upstream('up'), 2);
    expect(history.of('upstream', 'a')).toEqual({ state: 'up', since: at(1), why: null });
    history.observe(upstream('out', 'ECONNREFUSED'), 3);
    expect(history.of('upstream', 'a')).toEqual({ state: 'out', since: at(3), why: 'ECONNREFUSED' });
    expect(history.changes()).toEqual([
      { at: at(3), kind: 'upstream', name: 'a', from: 'up', to: 'out', why: 'ECONNREFUSED' },
    ]);
  });

  test('keeps the last 20 changes of each part, however often other parts change', () => {
    const history = new StateHistory();
    history.observe([...upstream('up'), { kind: 'upstream', name: 'b', state: 'up' }], 1);
    for (let ms = 2; ms < 500; ms += 1) {
      history.observe([...upstream(ms % 2 === 0 ? 'out' : 'up'), { kind: 'upstream', name: 'b', state: 'out' }], ms);
    }
    const changes = history.changes();
    expect(changes.map((change) => change.at)).toEqual([
      ...Array.from({ length: 20 }, (_, back) => at(499 - back)),
      at(2),
    ]);
    expect(changes.at(-1)).toMatchObject({ name: 'b', from: 'up', to: 'out' });
  });

  test('forgets a part that a reload removed', () => {
    const history = new StateHistory();
    history.observe(upstream('up'), 1);
    history.observe([], 2);
    expect(history.of('upstream', 'a')).toBeUndefined();
  });
});
