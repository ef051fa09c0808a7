// Rules by which the parts of several processes become one. Each takes at least one value.

export type Rule<Value> = (values: readonly Value[]) => Value;

type Rules<Item> = Readonly<{ [Key in keyof Item]?: Rule<Item[Key]> }>;

export function first<Value>(values: readonly Value[]): Value {
  const [value] = values;
  if (value === undefined) throw new Error('no parts');
  return value;
}

/** Merges the members that have a rule. The others are those of the first part. */
export const combine =
  <Item extends object>(rules: NoInfer<Rules<Item>>): Rule<Item> =>
  (parts) => {
    const merged = Object.entries(rules).map(([key, rule]) => [
      key,
      (rule as Rule<unknown>)(parts.map((part) => part[key as keyof Item])),
    ]);
    return { ...first(parts), ...Object.fromEntries(merged) };
  };

/** Merges items of one name, in the order of their first appearance. */
export const byName =
  <Item>(nameOf: (item: NoInfer<Item>) => string, rule: Rule<NoInfer<Item>>): Rule<Item[]> =>
  (lists) =>
    [...Map.groupBy(lists.flat(), nameOf).values()].map(rule);

export const sum: Rule<number> = (numbers) => numbers.reduce((total, number) => total + number, 0);
export const highest: Rule<number> = (numbers) => Math.max(...numbers);
export const any: Rule<boolean> = (values) => values.includes(true);

/** RFC 3339 times in UTC sort like texts. */
export const earliest: Rule<string> = (times) => first(times.toSorted());
export const latest: Rule<string> = (times) => first(times.toSorted().reverse());

/** Sorts by a time. */
export const newestFirst =
  <Key extends string>(key: Key) =>
  (a: Readonly<Record<Key, string>>, b: Readonly<Record<Key, string>>): number =>
    a[key] < b[key] ? 1 : -1;

/** Merges the values that are known. */
export const known =
  <Value>(rule: Rule<NoInfer<Value>>): Rule<Value | null> =>
  (values) => {
    const some = values.filter((value): value is Value & {} => value !== null);
    return some.length === 0 ? null : rule(some);
  };

/** Adds lists element by element. */
export const added: Rule<number[]> = (lists) => first(lists).map((_, at) => sum(lists.map((list) => list[at] ?? 0)));

/** Merges the members of a record, which have the same names in all parts. */
export const eachMember =
  <Value>(rule: Rule<Value>) =>
  <Key extends string>(parts: readonly Readonly<Record<Key, Value>>[]): Record<Key, Value> =>
    mapped(first(parts), (_, key) => rule(parts.map((part) => part[key])));

export function mapped<Key extends string, Value, Result>(
  record: Readonly<Record<Key, Value>>,
  change: (value: Value, key: Key) => Result,
): Record<Key, Result> {
  const entries = Object.entries(record) as [Key, Value][];
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value, key)])) as Record<Key, Result>;
}

type Lasting = Readonly<{ state: string; since: string }>;

/**
 * The worst state of several processes, from when the first of them had it.
 *
 * @param order From good to bad. A state that is not listed is the worst.
 */
export const worst =
  (order: readonly string[]) =>
  <State extends Lasting>(states: readonly State[]): State =>
    first(states.toSorted(byBadness(order)));

/** As {@link combine} of parts that have a state: the members without a rule are those of the part whose state is worst. */
export const combineFromWorst =
  <Item extends Readonly<{ state: Lasting }>>(order: readonly string[], rules: NoInfer<Rules<Item>>): Rule<Item> =>
  (parts) =>
    combine<Item>(rules)(parts.toSorted((a, b) => byBadness(order)(a.state, b.state)));

function byBadness(order: readonly string[]): (a: Lasting, b: Lasting) => number {
  const rank = ({ state }: Lasting) => (order.includes(state) ? order.indexOf(state) : order.length);
  return (a, b) => rank(b) - rank(a) || (a.since < b.since ? -1 : 1);
}
