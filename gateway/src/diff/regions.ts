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

/** The examples of each part, by their index. Parts are independent, so any combination of them is a caller. */
type Box = readonly (readonly number[])[];

type Literal = Readonly<{ check: Check; isFailing: boolean }>;

/** A set of callers whose decision differs: all that meet the conditions, which are all combinations in the box. */
export type Region = Readonly<{
  before: Decision;
  after: Decision;
  conditions: readonly Condition[];
  box: Box;
  /** The parts that the conditions are about. */
  parts: ReadonlySet<number>;
}>;

/**
 * Subtracts one decision from another: divides all callers by the decision before, and each box by the one after.
 *
 * @param counts How many examples each part has.
 */
export function differingRegions(before: Steps, after: Steps, counts: readonly number[]): readonly Region[] {
  const whole = counts.map((count) => Array.from({ length: count }, (_, example) => example));
  return divide(whole, before).flatMap((was) =>
    divide(was.box, after).flatMap(({ decision, box, literals }) => {
      if (isAlike(was.decision, decision)) return [];
      const needed = whole.flatMap((examples, part) => neededOn(part, examples, [...was.literals, ...literals]));
      const conditions = needed.map(({ check, isFailing }) => (isFailing ? check.failing : check.passing));
      const parts = new Set(needed.map(({ check }) => check.part));
      return [{ before: was.decision, after: decision, conditions, box, parts }];
    }),
  );
}

/** Whether two decisions are the same, perhaps by routes with different names. */
export const isAlike = (one: Decision, other: Decision): boolean =>
  one.code === other.code && one.caller === other.caller;

function divide(whole: Box, { checks, last }: Steps) {
  const divided: { decision: Decision; box: Box; literals: readonly Literal[] }[] = [];
  const literals: Literal[] = [];
  let box = whole;
  for (const check of checks) {
    const only = (isFailing: boolean) => meeting({ check, isFailing }, box[check.part]);
    const [failing, passing] = [only(true), only(false)];
    const decision = { route: last.route, code: check.code, caller: null };
    if (failing.length > 0)
      divided.push({
        decision,
        box: box.with(check.part, failing),
        literals: [...literals, { check, isFailing: true }],
      });
    if (passing.length === 0) return divided;
    box = box.with(check.part, passing);
    literals.push({ check, isFailing: false });
  }
  return [...divided, { decision: last, box, literals }];
}

const meeting = ({ check, isFailing }: Literal, examples: readonly number[] = []): readonly number[] =>
  examples.filter((example) => check.fails[example] === isFailing);

/** The conditions on one part, without those that follow from the others. The first ones say more, so they stay. */
function neededOn(part: number, all: readonly number[], literals: readonly Literal[]): readonly Literal[] {
  const count = (some: readonly Literal[]) => some.reduce((left, literal) => meeting(literal, left), all).length;
  let kept = literals.filter(({ check }) => check.part === part);
  const wanted = count(kept);
  for (const one of kept.toReversed().toSorted((a, b) => Number(a.isFailing) - Number(b.isFailing))) {
    const rest = kept.filter((other) => other !== one);
    if (count(rest) === wanted) kept = rest;
  }
  return kept;
}
