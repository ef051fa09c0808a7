import { z } from 'zod';
import { earliest, latest, listOf, mergedBy, mostFirst, sum } from './merge.ts';

// Schemas that several responses use.

export const text = z.string().nullable();
export const time = z.iso.datetime().describe('RFC 3339, UTC.');
export const earliestTime = mergedBy(z.iso.datetime().describe('RFC 3339, UTC.'), earliest);
export const latestTime = mergedBy(z.iso.datetime().describe('RFC 3339, UTC.'), latest);

export const count = z.int().nonnegative();
/** A count, added up over processes. */
export const total = mergedBy(z.int().nonnegative(), sum);
export const highest = mergedBy(z.number(), (numbers) => Math.max(...numbers));

/** Null if unknown. */
export const ms = z.number().nullable();

export const since = z
  .object({ state: z.string(), since: time, why: text })
  .meta({ id: 'Since' })
  .describe('A state, and when that state began.');
export type Since = z.output<typeof since>;

export const counted = listOf(z.object({ name: z.string(), count: total }), ({ name }) => name, mostFirst).describe(
  'Most first.',
);
export type Counted = z.output<typeof counted>;
