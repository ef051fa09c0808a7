import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { intersectionOf, type Segment } from './path-pattern.ts';
import { PatternIndex } from './pattern-index.ts';

const literal = fc.constantFrom('a', 'b', '').map((text): Segment => ({ kind: 'literal', text }));
const param = fc.constant<Segment>({ kind: 'param', name: 'x' });
const rest = fc.constantFrom<Segment[]>([], [{ kind: 'rest' }]);
const pattern = fc
  .tuple(fc.array(fc.oneof(literal, param), { maxLength: 4 }), rest)
  .map(([start, end]) => [...start, ...end]);

test('finds exactly the patterns that have paths in common', () => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 12 }), pattern, (all, asked) => {
      const index = new PatternIndex<number>();
      for (const [at, one] of all.entries()) index.add(one, at);
      const common = all.flatMap((one, at) => (intersectionOf(one, asked) === undefined ? [] : [at]));
      expect([...index.intersecting(asked)].sort((a, b) => a - b)).toEqual(common);
    }),
    { numRuns: 500 },
  );
});
