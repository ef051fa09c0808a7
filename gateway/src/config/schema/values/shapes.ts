import { z } from 'zod';
import { plainMessages } from '../messages.ts';
import type { KeyClass, Wider } from './key-class.ts';

/** The JSON Schema 2020-12 keywords that zod generates here. */
export type JsonSchema = Partial<Record<'minimum' | 'maximum' | 'minItems' | 'maxItems', number>> &
  Partial<Record<'type' | '$ref' | 'description' | 'pattern' | 'x-type' | 'x-bounds', string>> & {
    'x-class'?: KeyClass;
    'x-wider'?: Wider;
    default?: unknown;
    const?: unknown;
    enum?: readonly unknown[] | undefined;
    properties?: Record<string, JsonSchema>;
    $defs?: Record<string, JsonSchema>;
    required?: readonly string[];
    additionalProperties?: boolean | JsonSchema;
    items?: JsonSchema;
    oneOf?: readonly JsonSchema[];
    anyOf?: readonly JsonSchema[];
  };

/** A part of the file. Malformed keys are undefined, because zod has already reported them. */
export type Pieces<Part> = { readonly [Key in keyof Part]?: Part[Key] | undefined };

/** Makes the maps, lists and sets in a type read-only. */
export type Immutable<T> = T extends string | number | boolean | undefined | Uint8Array
  ? T
  : T extends ReadonlyMap<infer Key, infer Value>
    ? ReadonlyMap<Key, Immutable<Value>>
    : T extends ReadonlySet<infer Item>
      ? ReadonlySet<Item>
      : { readonly [Key in keyof T]: Immutable<T[Key]> };

/**
 * A value of one of several shapes. zod's own union reports only that no shape fits. This one reports the problems of
 * the shape that the author probably meant: the first shape of the same type or, for a map, the shape that shares a
 * key.
 *
 * @param type For the reference table.
 * @param allowed Completes "must be …", for a value that fits no shape.
 */
export function oneShape<const Shapes extends readonly z.ZodType[]>(type: string, allowed: string, shapes: Shapes) {
  const maps = shapes.filter((schema) => outlineOf(schema) instanceof z.ZodObject);
  const oneOf = shapes.map((schema) => {
    const { $schema: _, ...described } = z.toJSONSchema(schema, { io: 'input' });
    return described as JsonSchema;
  });
  return z
    .unknown()
    .meta({ 'x-type': type, oneOf })
    .transform((raw, context): z.output<Shapes[number]> => {
      const only = maps.length === 1 && isMap(raw) ? maps[0] : undefined;
      const shape = only ?? shapes.find((schema) => fits(raw, outlineOf(schema)));
      const parsed = shape?.safeParse(raw, { error: plainMessages });
      if (parsed?.success === true) return parsed.data as z.output<Shapes[number]>;
      const issues = parsed?.error.issues ?? [{ code: 'custom', message: `must be ${allowed}`, path: [] } as const];
      for (const issue of issues) context.issues.push({ ...issue, input: raw } as z.core.$ZodRawIssue);
      return z.NEVER;
    });
}

export const listOrAny = <List extends z.ZodType>(items: string, list: List) =>
  oneShape('list, or any', `a list of ${items}, or any`, [z.literal('any'), list]);

const outlineOf = (schema: unknown): unknown => (schema instanceof z.ZodPipe ? outlineOf(schema.in) : schema);

function fits(raw: unknown, outline: unknown): boolean {
  if (outline instanceof z.ZodString) return typeof raw === 'string';
  if (outline instanceof z.ZodArray) return Array.isArray(raw);
  if (outline instanceof z.ZodRecord) return isMap(raw);
  if (outline instanceof z.ZodUnion) return outline.options.some((option) => fits(raw, option));
  if (outline instanceof z.ZodObject) return isMap(raw) && Object.keys(outline.shape).some((key) => key in raw);
  return outline instanceof z.ZodType && outline.safeParse(raw).success;
}

export const isMap = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw);
