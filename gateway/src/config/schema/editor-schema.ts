import { type JsonSchema, jsonSchema } from './json-schema.ts';

// Where a string may be written a variable may be, whose value no editor knows.
const variable = '\\$\\{';

/**
 * What `countersign schema` prints: standard keywords only, so that any validator takes it, and nothing that marks a variable as a
 * mistake. What a file must hold beyond its shape, `countersign check` says.
 */
export function editorSchema(): JsonSchema {
  return forEditors(jsonSchema());
}

function forEditors({ 'x-type': type, 'x-bounds': bounds, ...part }: JsonSchema): JsonSchema {
  const written = [type, bounds].filter((text) => text !== undefined).join(', ');
  const described: JsonSchema = {
    ...part,
    ...(written !== '' && { description: [part.description, `(${written})`].filter(Boolean).join(' ') }),
  };
  if (part.pattern !== undefined) return { ...described, pattern: `(?:${part.pattern})|${variable}` };
  if (part.enum !== undefined) {
    const { enum: values, type: kind, ...around } = described;
    return { ...around, anyOf: [{ enum: values }, { type: 'string', pattern: variable }] };
  }
  return {
    ...described,
    ...(part.properties && { properties: mapped(part.properties) }),
    ...(typeof part.additionalProperties === 'object' && {
      additionalProperties: forEditors(part.additionalProperties),
    }),
    ...(part.items && { items: forEditors(part.items) }),
    ...(part.oneOf && { oneOf: part.oneOf.map(forEditors) }),
    ...(part.anyOf && { anyOf: part.anyOf.map(forEditors) }),
  };
}

const mapped = (properties: Record<string, JsonSchema>): Record<string, JsonSchema> =>
  Object.fromEntries(Object.entries(properties).map(([key, part]) => [key, forEditors(part)]));
