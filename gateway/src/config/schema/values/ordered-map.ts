import { z } from 'zod';
import { writtenKeys } from '../../yaml/source.ts';
import { isMap } from './shapes.ts';

type OrderedPair<To> = readonly [from: string, to: To];

const maxEntries = 200;

/**
 * A map whose entries keep the order of the file. JavaScript would move keys such as "10" to the front, and the first entry that
 * a token has wins. Also accepts a list of pairs: `- [from, to]` or `- from: to`.
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
      const pairs = isMap(raw)
        ? writtenKeys(raw).map((key) => ({ from: key as unknown, to: raw[key], at: key }))
        : Array.isArray(raw)
          ? raw.map((item: unknown, index) => pairOf(item, index))
          : undefined;
      if (pairs === undefined || pairs.length === 0 || pairs.length > maxEntries) {
        refuse(`must be a map of 1 to ${maxEntries} values of the token, or a list of pairs such as [value, role]`);
        return z.NEVER;
      }
      const entries = new Map<string, To>();
      for (const { from, to: wanted, at } of pairs) {
        const parsed = to.safeParse(wanted);
        if (typeof from !== 'string' || from === '')
          refuse('must be a pair of a value of the token and its meaning, both text', at);
        else if (entries.has(from)) refuse(`has the value "${from}" twice`, at);
        else if (!parsed.success) refuse(parsed.error.issues[0]?.message ?? 'is invalid', at);
        else entries.set(from, parsed.data);
      }
      return [...entries];
    });
}

function pairOf(item: unknown, at: number): Readonly<{ from: unknown; to: unknown; at: number }> {
  if (Array.isArray(item) && item.length === 2) return { from: item[0], to: item[1], at };
  const entries = isMap(item) ? Object.entries(item) : [];
  const [only] = entries;
  return entries.length === 1 && only !== undefined
    ? { from: only[0], to: only[1], at }
    : { from: undefined, to: undefined, at };
}
