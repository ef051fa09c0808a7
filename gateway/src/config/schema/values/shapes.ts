import { z } from 'zod';
import type { JsonSchema } from '../json-schema-type.ts';

/** One of several shapes of a value. `fits` looks at its outline only; `schema` finds the problems inside. */
export type Shape<Value> = Readonly<{ fits(raw: unknown): boolean; schema: z.ZodType<Value> }>;

/**
 * A value of one of several shapes. zod's own union reports only that no shape fits. This one reports what is wrong with the
 * shape that the author meant.
 *
 * @param type For the reference table.
 * @param allowed Completes "must be …", for a value of no shape.
 */
export function oneShape<Value>(type: string, allowed: string, shapes: readonly Shape<Value>[]) {
  const oneOf = shapes.map(({ schema }) => {
    const { $schema: _, ...described } = z.toJSONSchema(schema, { io: 'input' });
    return described as JsonSchema;
  });
  return z
    .unknown()
    .meta({ 'x-type': type, oneOf })
    .transform((raw, context): Value => {
      const shape = raw === undefined ? undefined : shapes.find(({ fits }) => fits(raw));
      const parsed = shape?.schema.safeParse(raw);
      if (parsed?.success === true) return parsed.data;
      const issues = parsed?.error.issues ?? [{ code: 'custom', message: `must be ${allowed}`, path: [] } as const];
      for (const issue of issues) context.issues.push({ ...issue, input: raw } as z.core.$ZodRawIssue);
      return z.NEVER;
    });
}

export const isText = (raw: unknown): boolean => typeof raw === 'string';
export const isList = (raw: unknown): boolean => Array.isArray(raw);
export const isMap = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw);
export const hasKey =
  (...keys: readonly string[]) =>
  (raw: unknown): boolean =>
    isMap(raw) && keys.some((key) => Object.hasOwn(raw, key));
