import { z } from 'zod';

// Schemas that say how the responses of several processes merge. One without a rule takes the first process's value.

type Rule = (values: readonly never[]) => unknown;

const rules = z.registry<Readonly<{ rule: Rule }>>();

type Values<Schema extends z.ZodType> = readonly z.output<Schema>[];

/** Sets a schema's merge rule. The rule gets the values of at least one process. */
export function mergedBy<Schema extends z.ZodType>(
  schema: Schema,
  rule: (values: Values<Schema>) => z.output<Schema>,
): Schema {
  rules.add(schema, { rule: rule as Rule });
  return schema;
}

export function merge<Schema extends z.ZodType>(schema: Schema, values: Values<Schema>): z.output<Schema> {
  const rule = rules.get(schema)?.rule;
  if (rule !== undefined) return rule(values as readonly never[]) as z.output<Schema>;
  return schema instanceof z.ZodObject ? mergeMembers(schema, values as never) : first(values);
}

export function mergeMembers<Schema extends z.ZodObject>(schema: Schema, values: Values<Schema>): z.output<Schema> {
  const members = Object.entries<z.ZodType>(schema.shape).map(([key, member]) => [
    key,
    merge(
      member,
      values.map((value) => value[key]),
    ),
  ]);
  return Object.fromEntries(members);
}

export function first<Value>(values: readonly Value[]): Value {
  const [value] = values;
  if (value === undefined) throw new Error('no process answered');
  return value;
}

type Compare<Item> = (a: Item, b: Item) => number;

/** A list of named items. Items with the same name are merged. Default order: the order of first appearance. */
export const listOf = <Item extends z.ZodType>(
  item: Item,
  nameOf: (item: z.output<Item>) => string,
  compare: Compare<z.output<Item>> = () => 0,
): z.ZodArray<Item> =>
  mergedBy(z.array(item), (lists) =>
    [...Map.groupBy(lists.flat(), nameOf).values()].map((same) => merge(item, same)).sort(compare),
  );

export const joined = <Item extends z.ZodType>(
  item: Item,
  compare: Compare<z.output<Item>> = () => 0,
): z.ZodArray<Item> => mergedBy(z.array(item), (lists) => lists.flat().sort(compare));

export const atMost = <Item extends z.ZodType>(max: number, list: z.ZodArray<Item>): z.ZodArray<Item> =>
  mergedBy(list.clone(), (lists) => merge(list, lists).slice(0, max));

/** A value that some processes may not know. Merges the known ones. */
export const known = <Schema extends z.ZodType>(schema: Schema): z.ZodNullable<Schema> =>
  mergedBy(schema.nullable(), (values) => {
    const some = values.filter((value): value is NonNullable<typeof value> => value !== null);
    return some.length === 0 ? null : merge(schema, some);
  });

type Lasting = Readonly<{ state: string; since: string }>;

/** @param order States from best to worst. A state that is not listed counts as the worst. */
export const worstFirst =
  (order: readonly string[]): Compare<Lasting> =>
  (a, b) => {
    const rank = ({ state }: Lasting) => (order.includes(state) ? order.indexOf(state) : order.length);
    return rank(b) - rank(a) || (a.since < b.since ? -1 : 1);
  };

/** The worst state counts, since the first process had it. Other members come from the process with it. */
export const fromWorst = <Schema extends z.ZodObject>(schema: Schema, order: readonly string[]): Schema =>
  mergedBy(schema, (values) => {
    const states = values as unknown as readonly Readonly<{ state: Lasting }>[];
    const sorted = states.toSorted((a, b) => worstFirst(order)(a.state, b.state));
    return mergeMembers(schema, sorted as unknown as Values<Schema>);
  });

export const newestFirst =
  <Key extends string>(key: Key): Compare<Readonly<Record<Key, string>>> =>
  (a, b) =>
    a[key] < b[key] ? 1 : -1;

export const mostFirst: Compare<Readonly<{ count: number }>> = (a, b) => b.count - a.count;

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** RFC 3339 times in UTC sort as strings. */
export const earliest = (times: readonly string[]): string => first(times.toSorted());
export const latest = (times: readonly string[]): string => first(times.toSorted().reverse());

export const text = z.string().nullable();
export const time = z.iso.datetime().describe('RFC 3339, UTC.');
export const earliestTime = mergedBy(z.iso.datetime().describe('RFC 3339, UTC.'), earliest);
export const latestTime = mergedBy(z.iso.datetime().describe('RFC 3339, UTC.'), latest);

export const count = z.int().nonnegative();
/** A count, added up over processes. */
export const total = mergedBy(z.int().nonnegative(), sum);
export const highest = mergedBy(z.number(), (numbers) => Math.max(...numbers));

export const ms = z.number().nullable();

// Unknown for all if it is unknown for one.
export const longest = mergedBy(ms.clone(), (all) => (all.includes(null) ? null : Math.max(...all.map(Number))));

export const since = z
  .object({ state: z.string(), since: time, why: text })
  .meta({ id: 'Since' })
  .describe('A state, and when that state began.');
export type Since = z.output<typeof since>;

export const counted = listOf(z.object({ name: z.string(), count: total }), ({ name }) => name, mostFirst).describe(
  'Most first.',
);
export type Counted = z.output<typeof counted>;
