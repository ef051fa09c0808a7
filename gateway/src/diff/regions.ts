import { isDeepStrictEqual } from 'node:util';
import type { Code } from '../errors.ts';
import type { Condition, Decision } from './report-schema.ts';

/** One step of a decision, which reads one part of the caller. `fails` has an entry for each example of that part. */
export type Check = Readonly<{
  part: number;
  code: Code;
  fails: readonly boolean[];
  /** What is true of a caller that passes, and of one that fails. */
  passing: Condition;
  failing: Condition;
}>;

/** A decision: the first check that fails decides, and `last` if none does. */
export type Steps = Readonly<{ checks: readonly Check[]; last: Decision }>;

/** A set of callers whose decision differs: all that meet the conditions. `examples` is one, by part. */
export type Region = Readonly<{
  before: Decision;
  after: Decision;
  conditions: readonly Condition[];
  examples: readonly number[];
  /** All examples of the parts that the conditions are about. */
  matching: ReadonlyMap<number, readonly number[]>;
}>;

type Literal = Readonly<{ check: Check; isFailing: boolean }>;

/**
 * Subtracts one decision from another. Each check reads one part of the caller, and parts are independent, so callers
 * with one result before and another after are a box: for each part, the examples that pass and fail the right checks.
 *
 * @param counts How many examples each part has.
 */
export function differingRegions(before: Steps, after: Steps, counts: readonly number[]): readonly Region[] {
  const regions: Region[] = [];
  for (let old = 0; old <= before.checks.length; old += 1) {
    const first = literalsUpTo(before, old);
    if (solve(first, counts).includes(undefined)) continue;
    for (let now = 0; now <= after.checks.length; now += 1) {
      const [was, is] = [decisionAt(before, old), decisionAt(after, now)];
      const literals = [...first, ...literalsUpTo(after, now)];
      const examples = solve(literals, counts);
      if (isDeepStrictEqual(was, is) || examples.includes(undefined)) continue;
      const needed = counts.flatMap((_, part) => neededOn(part, literals, counts));
      const parts = new Set(needed.map(({ check }) => check.part));
      regions.push({
        before: was,
        after: is,
        conditions: needed.map(({ check, isFailing }) => (isFailing ? check.failing : check.passing)),
        examples: examples as readonly number[],
        matching: new Map(Array.from(parts, (part) => [part, examplesOf(part, literals, counts)])),
      });
    }
  }
  return regions;
}

function decisionAt({ checks, last }: Steps, index: number): Decision {
  const code = checks[index]?.code;
  return code === undefined ? last : { route: last.route, code, caller: null };
}

const literalsUpTo = ({ checks }: Steps, end: number): readonly Literal[] =>
  checks.slice(0, end + 1).map((check, index) => ({ check, isFailing: index === end }));

/** The first example of each part that meets its conditions. */
const solve = (literals: readonly Literal[], counts: readonly number[]): readonly (number | undefined)[] =>
  counts.map((_, part) => examplesOf(part, literals, counts)[0]);

function examplesOf(part: number, literals: readonly Literal[], counts: readonly number[]): readonly number[] {
  const own = literals.filter(({ check }) => check.part === part);
  const all = Array.from({ length: counts[part] ?? 0 }, (_, example) => example);
  return all.filter((example) => own.every(({ check, isFailing }) => check.fails[example] === isFailing));
}

/** The conditions on one part, without those that follow from the others. The first ones say more, so they stay. */
function neededOn(part: number, literals: readonly Literal[], counts: readonly number[]): readonly Literal[] {
  let kept = literals.filter(({ check }) => check.part === part);
  for (const one of kept.toReversed().toSorted((a, b) => Number(a.isFailing) - Number(b.isFailing))) {
    const rest = kept.filter((other) => other !== one);
    if (examplesOf(part, rest, counts).length === examplesOf(part, kept, counts).length) kept = rest;
  }
  const texts = new Map(
    kept.map((one) => [JSON.stringify(one.isFailing ? one.check.failing : one.check.passing), one]),
  );
  return [...texts.values()];
}
