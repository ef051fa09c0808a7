import { createModel, type Scenario, type State } from './model.ts';
import type { Rules } from './rules.ts';

type Reached = Readonly<{ key: string; step: string; from: Reached | undefined }>;

/**
 * Visits every state that `depth` steps can reach, breadth first, or stops at the first broken promise.
 *
 * @returns The number of states and, if a promise can be broken, the fewest steps to it.
 */
export function explore(scenario: Scenario, rules: Rules, depth: number): { states: number; trace?: string[] } {
  const { initial, next, settles } = createModel(scenario, rules);
  const seen = new Set([JSON.stringify(initial)]);
  let level: readonly Reached[] = [...seen].map((key) => ({ key, step: '', from: undefined }));
  for (let steps = 1; steps <= depth; steps += 1) {
    const reached: Reached[] = [];
    for (const from of level) {
      for (const [what, change] of next(JSON.parse(from.key))) {
        const state: State = JSON.parse(from.key);
        const verdict = typeof change === 'function' ? change(state) : Object.assign(state, change) && undefined;
        const key = JSON.stringify(state);
        if (seen.has(key)) continue;
        seen.add(key);
        const here = { key, step: typeof verdict === 'string' ? `${what}: ${verdict}` : what, from };
        const { brokenPromise: broken = settles(state) ? undefined : 'an honest request is refused for a minute' } =
          state;
        if (broken !== undefined) return { states: seen.size, trace: [...traceTo(here), broken] };
        reached.push(here);
      }
    }
    level = reached;
  }
  return { states: seen.size };
}

const traceTo = ({ step, from }: Reached): string[] => (from === undefined ? [] : [...traceTo(from), step]);
