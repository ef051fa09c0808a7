import { z } from 'zod';
import { plainMessages } from '../messages.ts';

/** The keywords of JSON Schema 2020-12 that zod generates here. */
export type JsonSchema = {
  type?: string;
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: readonly unknown[] | undefined;
  pattern?: string;
  properties?: Record<string, JsonSchema>;
  required?: readonly string[];
  additionalProperties?: boolean | JsonSchema;
  items?: JsonSchema;
  oneOf?: readonly JsonSchema[];
  anyOf?: readonly JsonSchema[];
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  'x-type'?: string;
  'x-bounds'?: string;
};

/** A type whose maps, lists and sets cannot be changed. */
export type Immutable<T> = T extends string | number | boolean | undefined | Uint8Array
  ? T
  : T extends ReadonlyMap<infer Key, infer Value>
    ? ReadonlyMap<Key, Immutable<Value>>
    : T extends ReadonlySet<infer Item>
      ? ReadonlySet<Item>
      : { readonly [Key in keyof T]: Immutable<T[Key]> };

/** One of several shapes of a value. `fits` looks at its outline only; `schema` finds the problems inside. */
type Shape = Readonly<{ fits(raw: unknown): boolean; schema: z.ZodType }>;

/**
 * A value of one of several shapes. zod's own union reports only that no shape fits. This one reports what is wrong with the
 * shape that the author meant.
 *
 * @param type For the reference table.
 * @param allowed Completes "must be …", for a value of no shape.
 */
export function oneShape<const Shapes extends readonly Shape[]>(type: string, allowed: string, shapes: Shapes) {
  const oneOf = shapes.map(({ schema }) => {
    const { $schema: _, ...described } = z.toJSONSchema(schema, { io: 'input' });
    return described as JsonSchema;
  });
  return z
    .unknown()
    .meta({ 'x-type': type, oneOf })
    .transform((raw, context): z.output<Shapes[number]['schema']> => {
      const shape = raw === undefined ? undefined : shapes.find(({ fits }) => fits(raw));
      const parsed = shape?.schema.safeParse(raw, { error: plainMessages });
      if (parsed?.success === true) return parsed.data as z.output<Shapes[number]['schema']>;
      const issues = parsed?.error.issues ?? [{ code: 'custom', message: `must be ${allowed}`, path: [] } as const];
      for (const issue of issues) context.issues.push({ ...issue, input: raw } as z.core.$ZodRawIssue);
      return z.NEVER;
    });
}

/** @param list The schema of a list of `items`. */
export const listOrAny = <List extends z.ZodType>(items: string, list: List) =>
  oneShape('list, or any', `a list of ${items}, or any`, [
    { fits: isWord('any'), schema: z.literal('any') },
    { fits: isList, schema: list },
  ]);

export const isWord =
  (word: string) =>
  (raw: unknown): boolean =>
    raw === word;
export const isText = (raw: unknown): boolean => typeof raw === 'string';
export const isList = (raw: unknown): boolean => Array.isArray(raw);
export const isMap = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw);
export const hasKey =
  (...keys: readonly string[]) =>
  (raw: unknown): boolean =>
    isMap(raw) && keys.some((key) => Object.hasOwn(raw, key));
