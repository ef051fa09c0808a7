import { type JsonSchema, jsonSchema } from './json-schema.ts';

/**
 * Writes every key of gateway.yaml as a Markdown table, generated from the schema.
 *
 * @param depth How many levels of keys to show. Default: all.
 */
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
