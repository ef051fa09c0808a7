import { type JsonSchema, jsonSchema } from './json-schema.ts';

type Row = Readonly<{ key: string; type: string; fallback: string; bounds: string; meaning: string }>;

/**
 * Every key of gateway.yaml as a Markdown table, made from the schema that checks it.
 *
 * @param depth How many levels of keys; all if not given.
 */
export function referenceTable(depth = Number.POSITIVE_INFINITY): string {
  const rows = rowsOf(jsonSchema(), '', depth);
  const lines = rows.map(({ key, type, fallback, bounds, meaning }) =>
    ['', `\`${key}\``, type, fallback, bounds, meaning, ''].join(' | ').trim(),
  );
  return ['| key | type | default | bounds | meaning |', '|---|---|---|---|---|', ...lines].join('\n');
}

function rowsOf(part: JsonSchema, prefix: string, depth: number): readonly Row[] {
  if (depth === 0) return [];
  const seen = new Set<string>();
  const rows: Row[] = [];
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

function nestedRows(child: JsonSchema, key: string, depth: number): readonly Row[] {
  if (child.items !== undefined) return rowsOf(child.items, `${key}[]`, depth);
  if (typeof child.additionalProperties === 'object') return rowsOf(child.additionalProperties, `${key}.NAME`, depth);
  return rowsOf(child, key, depth);
}

/** A key that tells alternatives apart has a value in each: together they are what is allowed. */
function merged(part: JsonSchema, name: string, child: JsonSchema): JsonSchema {
  const values = (part.oneOf ?? []).flatMap((alternative) => alternative.properties?.[name]?.const ?? []);
  return values.length < 2 ? child : { ...child, enum: values };
}

function rowOf(key: string, child: JsonSchema, required: boolean): Row {
  return {
    key,
    type: typeOf(child),
    fallback: required ? '**required**' : fallbackOf(child.default),
    bounds: boundsOf(child),
    meaning: (child.description ?? '').replaceAll('|', '\\|'),
  };
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

// What zod writes as the bounds of every integer says nothing to an admin.
const noBound = new Set([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);

function boundsOf(child: JsonSchema): string {
  if (child['x-bounds'] !== undefined) return child['x-bounds'];
  const least = child.minimum ?? child.minItems;
  const most = child.maximum ?? child.maxItems;
  const [from, to] = [least, most].map((bound) => (bound === undefined || noBound.has(bound) ? undefined : bound));
  if (from !== undefined && to !== undefined) return `${from} to ${to}`;
  if (from !== undefined) return `${from} or more`;
  return to === undefined ? '' : `${to} at most`;
}
