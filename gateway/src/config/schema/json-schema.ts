import { z } from 'zod';
import type { Path } from '../yaml/yaml.ts';
import { schema } from './schema.ts';

/** The part of JSON Schema 2020-12 that zod writes for us. */
export type JsonSchema = {
  type?: string;
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

/** The shape of the file as it is written, with what the reference page and problems need besides. */
export function jsonSchema(of: z.ZodType = schema): JsonSchema {
  let made = madeOf.get(of);
  if (made === undefined) {
    made = { ...(z.toJSONSchema(of, { io: 'input' }) as JsonSchema), title: 'gateway.yaml' } as JsonSchema;
    madeOf.set(of, made);
  }
  return made;
}

const madeOf = new WeakMap<z.ZodType, JsonSchema>();

/** The schema of the value at a path; of every alternative, where there are several. */
export function schemasAt(root: JsonSchema, path: Path): readonly JsonSchema[] {
  let found: readonly JsonSchema[] = [root];
  for (const step of path) {
    found = found.flatMap(alternatives).flatMap((part) => {
      const child = typeof step === 'number' ? part.items : (part.properties?.[step] ?? part.additionalProperties);
      return typeof child === 'object' ? [child] : [];
    });
  }
  return found.flatMap(alternatives);
}

function alternatives(part: JsonSchema): readonly JsonSchema[] {
  return part.oneOf ?? [part];
}
