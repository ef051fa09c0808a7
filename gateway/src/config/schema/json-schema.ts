import { z } from 'zod';
import { schema } from './schema.ts';
import type { JsonSchema } from './values/shapes.ts';

export type { JsonSchema } from './values/shapes.ts';

/**
 * Returns the shape of the file before it is parsed. `x-type` and `x-bounds` are for the reference page,
 * `x-class` and `x-wider` for `countersign diff`.
 */
export function jsonSchema(): JsonSchema {
  return { ...z.toJSONSchema(schema, { io: 'input' }), title: 'gateway.yaml' } as JsonSchema;
}

// Any string may contain a variable, whose value an editor does not know.
const variable = '\\$\\{';

/**
 * Returns the schema that `countersign schema` prints. It has only standard keywords, so that every validator accepts
 * it, and it allows variables in every string. `countersign check` also applies the rules that involve several keys.
 */
export function editorSchema(): JsonSchema {
  return withGroups(forEditors(jsonSchema()));
}

/** Allows a route to be a group of routes, with every key of a route. Only `check` can tell which keys are missing. */
function withGroups(file: JsonSchema): JsonSchema {
  const { routes, ...properties } = file.properties ?? {};
  const { required = [], ...item } = routes?.items ?? {};
  const $ref = '#/$defs/route';
  // Strict validators require `properties` next to `required`.
  const demands = (keys: readonly string[]): JsonSchema => ({
    type: 'object',
    properties: Object.fromEntries(keys.map((key) => [key, {}])),
    required: keys,
  });
  const { description = '' } = item.properties?.routes ?? {};
  const children = { type: 'array', description, minItems: 1, items: { $ref } };
  // Inside a group, an empty path means the group's own path.
  const path = { ...item.properties?.path, pattern: `^$|${item.properties?.path?.pattern}` };
  return {
    ...file,
    properties: {
      ...properties,
      routes: { ...routes, items: { $ref, anyOf: [demands(['routes']), demands(required)] } },
    },
    $defs: {
      route: {
        ...item,
        properties: { ...item.properties, path, routes: children },
        anyOf: [demands(['routes']), demands(['path'])],
      },
    },
  };
}

function forEditors({
  'x-type': type,
  'x-bounds': bounds,
  'x-class': _class,
  'x-wider': _wider,
  ...given
}: JsonSchema): JsonSchema {
  const { oneOf, ...rest } = given;
  // The shapes of one value may overlap: for example, the word `present` is also a text.
  const part = type === undefined || oneOf === undefined ? given : { ...rest, anyOf: oneOf };
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

/** Writes every key of gateway.yaml, down to `depth` levels, as a Markdown table. */
export function referenceTable(depth = Number.POSITIVE_INFINITY): string {
  const rows = rowsOf(jsonSchema(), '', depth);
  return ['| key | type | default | bounds | meaning |', '|---|---|---|---|---|', ...rows].join('\n');
}

function rowsOf(part: JsonSchema, prefix: string, depth: number): readonly string[] {
  if (depth === 0) return [];
  const seen = new Set<string>();
  const rows: string[] = [];
  for (const alternative of part.oneOf ?? [part]) {
    for (const [name, child] of Object.entries(alternative.properties ?? {})) {
      const key = prefix === '' ? name : `${prefix}.${name}`;
      if (seen.has(key)) continue;
      seen.add(key);
      rows.push(rowOf(key, merged(part, name, child), alternative.required?.includes(name) === true));
      rows.push(...nestedRows(child, key, depth - 1));
    }
  }
  return rows;
}

function nestedRows(child: JsonSchema, key: string, depth: number): readonly string[] {
  if (child.items !== undefined) return rowsOf(child.items, `${key}[]`, depth);
  if (typeof child.additionalProperties === 'object') return rowsOf(child.additionalProperties, `${key}.NAME`, depth);
  return rowsOf(child, key, depth);
}

/** Joins the values of the key that tells the alternatives apart. */
function merged(part: JsonSchema, name: string, child: JsonSchema): JsonSchema {
  const values = (part.oneOf ?? []).flatMap((alternative) => alternative.properties?.[name]?.const ?? []);
  return values.length < 2 ? child : { ...child, enum: values };
}

function rowOf(key: string, child: JsonSchema, required: boolean): string {
  const fallback = required ? '**required**' : fallbackOf(child.default);
  const meaning = (child.description ?? '').replaceAll('|', '\\|');
  return ['', `\`${key}\``, typeOf(child), fallback, boundsOf(child), meaning, ''].join(' | ').trim();
}

function typeOf(child: JsonSchema): string {
  if (child['x-type'] !== undefined) return child['x-type'];
  if (child.enum !== undefined) return child.enum.map((value) => `\`${value}\``).join(' ');
  if (child.const !== undefined) return `\`${child.const}\``;
  if (child.items !== undefined) return `list of ${typeOf(child.items)}`;
  return child.type === 'object' || child.oneOf !== undefined ? 'map' : (child.type ?? '');
}

function fallbackOf(value: unknown): string {
  if (value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value))) return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function boundsOf(child: JsonSchema): string {
  if (child['x-bounds'] !== undefined) return child['x-bounds'];
  const from = child.minimum ?? child.minItems;
  const to = child.maximum ?? child.maxItems;
  if (from === undefined) return to === undefined ? '' : `${to} at most`;
  return to === undefined ? `${from} or more` : `${from} to ${to}`;
}
