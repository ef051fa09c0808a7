import { z } from 'zod';

/** Object schemas that ignore unknown members, and the standard that says so. */
export const ignoresUnknown = z.registry<Readonly<{ source: string }>>();

/**
 * A misspelt filter that is ignored returns everything, and a misspelt member changes nothing: clients never notice.
 *
 * @throws Error when an object within the schema of a request would ignore unknown members.
 */
export function assertStrict(name: string, schema: z.ZodType): void {
  z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema }) {
      if (!(zodSchema instanceof z.ZodObject) || zodSchema.def.catchall !== undefined) return;
      // `get`, unlike `has`, knows what a schema was refined from.
      if (ignoresUnknown.get(zodSchema) !== undefined) return;
      const members = Object.keys(zodSchema.shape).join(', ');
      throw new Error(`${name}: the object of ${members} ignores unknown members; declare it with z.strictObject`);
    },
  });
}
