import { expect, test } from '@jest/globals';
import { explore } from './explore.ts';
import { product } from './rules.ts';
import { scenarios } from './scenarios.ts';

test.each(Object.entries(scenarios))(
  'no step breaks a promise, deeper: %s',
  (name, { deep, depth: _, ...scenario }) => {
    const { states, trace } = explore(scenario, product, deep);
    process.stdout.write(`${name}: ${states} states within ${deep} steps\n`);
    expect(trace).toBeUndefined();
  },
  600_000,
);
