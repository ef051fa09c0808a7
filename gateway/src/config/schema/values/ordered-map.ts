import { writtenKeys } from '@countersign/strict-yaml';
import { z } from 'zod';
import { isMap } from './shapes.ts';

type OrderedPair<To> = readonly [from: string, to: To];

const maxEntries = 200;

/**
 * A map whose entries keep the order of the file, because the first matching entry wins. A JavaScript object would
 * move keys such as "10" to the front. Also accepts a list of pairs: `- [from, to]` or `- from: to`.
 *
 * @param to The schema of each value.
 */
export function orderedMap<To>(to: z.ZodType<To>) {
  return z
    .unknown()
    .meta({
      'x-type': 'map, or list of pairs',
      oneOf: [
        { type: 'object', additionalProperties: {} },
        { type: 'array', items: {} },
      ],
    })
    .transform((raw, context): readonly OrderedPair<To>[] => {
      const refuse = (message: string, ...path: readonly (string | number)[]) =>
        context.issues.push({ code: 'custom', message, path: [...path], input: raw });
      const pairs = pairsOf(raw);
      if (pairs.length === 0 || pairs.length > maxEntries) {
        refuse(`must be a map of 1 to ${maxEntries} claim values, or a list of pairs such as [value, role]`);
        return z.NEVER;
      }
      const entries = new Map<string, To>();
      for (const [at, from, wanted] of pairs) {
        const parsed = to.safeParse(wanted);
        if (typeof from !== 'string' || from === '')
          refuse('must be a pair of texts: a claim value, and the value to use for it', at);
        else if (entries.has(from)) refuse(`contains the value "${from}" twice`, at);
        else if (!parsed.success) refuse(parsed.error.issues[0]?.message ?? 'is invalid', at);
        else entries.set(from, parsed.data);
      }
      return [...entries];
    });
}

/** Returns each entry with its location. A malformed pair has neither key nor value. */
function pairsOf(raw: unknown): readonly (readonly [at: string | number, from?: unknown, to?: unknown])[] {
  if (isMap(raw)) return writtenKeys(raw).map((key) => [key, key, raw[key]]);
  const items: readonly unknown[] = Array.isArray(raw) ? raw : [];
  return items.map((item, index) => {
    const [pair, ...more]: readonly unknown[] = isMap(item) ? Object.entries(item) : [item];
    return Array.isArray(pair) && pair.length === 2 && more.length === 0 ? [index, pair[0], pair[1]] : [index];
  });
}
