import { z } from 'zod';

export type Json = Record<string, unknown>;

/** Collects named schemas, so that the document contains each only once. */
export class Components {
  readonly #schemas = new Map<string, string>();

  /** @throws Error if two different schemas have the same name. */
  add(name: string, schema: Json): void {
    const text = JSON.stringify(schema);
    const known = this.#schemas.get(name);
    if (known !== undefined && known !== text) throw new Error(`two schemas are named ${name}: ${known} and ${text}`);
    this.#schemas.set(name, text);
  }

  /** Returns the schemas sorted by name. */
  toJSON(): Json {
    const sorted = [...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([name, text]) => [name, JSON.parse(text)]));
  }
}

export const refTo = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** Converts a schema to JSON Schema. Its named parts (`.meta({ id })`) become references to the components. */
export function schemaOf(schema: z.ZodType, io: 'input' | 'output', components: Components): Json {
  const {
    $schema: _dialect,
    $defs,
    ...own
  } = z.toJSONSchema(schema, { io, override: io === 'input' ? override : forOutput }) as Json & {
    $defs?: Record<string, Json>;
  };
  for (const [name, part] of Object.entries($defs ?? {})) components.add(name, repoint(part) as Json);
  return repoint(own) as Json;
}

type Overridden = Readonly<{ zodSchema: z.core.$ZodTypes; jsonSchema: z.core.JSONSchema.BaseSchema }>;

function forOutput(overridden: Overridden): void {
  override(overridden);
  // Later releases may add members to responses.
  if (overridden.jsonSchema.additionalProperties === false) delete overridden.jsonSchema.additionalProperties;
}

function override({ zodSchema, jsonSchema }: Overridden): void {
  // A format name tells readers more than its pattern.
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  // The plain `id` is zod's name for the component.
  delete jsonSchema.id;
  // zod omits these if a schema transforms its input.
  const { examples } = z.globalRegistry.get(zodSchema) ?? {};
  if (Array.isArray(examples)) jsonSchema.examples = examples;
  if (zodSchema instanceof z.ZodDefault) jsonSchema.default = zodSchema.def.defaultValue;
}

function repoint(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(repoint);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === '$ref' ? String(inner).replace('#/$defs/', '#/components/schemas/') : repoint(inner),
    ]),
  );
}

/** An object schema that becomes a component of the API document with this name. */
export const namedObject = <Shape extends z.ZodRawShape>(name: string, shape: Shape) =>
  z.object(shape).meta({ id: name });
