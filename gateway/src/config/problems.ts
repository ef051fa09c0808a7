import type { z } from 'zod';
import { type JsonSchema, jsonSchema, schemasAt } from './json-schema.ts';
import type { Path, Problem, Source } from './yaml.ts';
import { printable } from './yaml-syntax.ts';

type Issue = z.core.$ZodIssue;

/** Something wrong with the value at a path. `key`: with one key of it. `absent`: with one that is not there. */
export type Finding = Readonly<{ path: Path; message: string; key?: string; absent?: string }>;

/** What zod found, as sentences that say what is allowed. Values are never repeated: some are secrets. */
export function findingsOf(issues: readonly Issue[], raw: unknown, root = jsonSchema()): readonly Finding[] {
  return issues.flatMap((issue) => findingsOfIssue(issue, raw, root));
}

/** `routes[2].auth: must be …`, placed in the file. */
export function placed(finding: Finding, source: Source): Problem {
  const where = readable(finding.path);
  const offset =
    finding.key === undefined ? source.offsetOf(finding.path) : source.keyOffsetOf([...finding.path, finding.key]);
  return { offset, message: where === '' ? finding.message : `${where}: ${finding.message}` };
}

const mostShown = 200;

/** `file:line:column: message`, in the order of the file. */
export function problemLines(file: string, source: Source, problems: readonly Problem[]): readonly string[] {
  const ordered = problems.toSorted((a, b) => a.offset - b.offset);
  const shown = ordered.slice(0, mostShown);
  const lines = shown.map(({ offset, message }) => `${file}:${source.lineColumn(offset)}: ${printable(message)}`);
  if (ordered.length > mostShown) lines.push(`${file}: and ${ordered.length - mostShown} more`);
  return [...new Set(lines)];
}

function findingsOfIssue(issue: Issue, raw: unknown, root: JsonSchema): readonly Finding[] {
  const path = issue.path as Path;
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path, key, message: unknownKey(key, schemasAt(root, path)) }));
    case 'invalid_key':
      return [{ path: path.slice(0, -1), key: String(path.at(-1)), message: nameProblem(issue) }];
  }
  const value = valueAt(raw, path);
  if (value === undefined) return [missing(path, root)];
  if (value === null) return [{ path, message: `has no value; ${allowedAt(root, path)}` }];
  return [{ path, message: messageOf(issue, value, root) }];
}

function messageOf(issue: Issue, value: unknown, root: JsonSchema): string {
  const path = issue.path as Path;
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.startsWith('Invalid input') ? `must be ${kindOf(issue.expected, value)}` : issue.message;
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}`;
    case 'invalid_union':
      return issue.message.startsWith('Invalid discriminator') ? allowedAt(root, path) : issue.message;
    case 'too_small':
      return issue.origin === 'array'
        ? `must have at least ${plural(issue.minimum, 'item')}`
        : `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'array'
        ? `must have at most ${plural(issue.maximum, 'item')}`
        : `must be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

function missing(path: Path, root: JsonSchema): Finding {
  const key = path.at(-1);
  return { path: path.slice(0, -1), absent: String(key), message: `"${key}" is required: ${allowedAt(root, path)}` };
}

/** What may stand at a path, in a few words. */
function allowedAt(root: JsonSchema, path: Path): string {
  const parts = schemasAt(root, path);
  const values = parts.flatMap((part) => part.enum ?? (part.const === undefined ? [] : [part.const]));
  if (values.length > 0) return `must be ${oneOf(values)}`;
  const [part] = parts;
  if (part?.['x-type'] !== undefined) return `must be ${article(part['x-type'])}`;
  return part?.type === undefined ? 'must have a value' : `must be ${kindOf(part.type, undefined)}`;
}

function unknownKey(key: string, parts: readonly JsonSchema[]): string {
  const allowed = [...new Set(parts.flatMap((part) => Object.keys(part.properties ?? {})))];
  const close = closest(key, allowed);
  const hint = close === undefined ? '' : `; did you mean "${close}"?`;
  return `unknown key "${key}"${hint} (allowed here: ${allowed.join(', ')})`;
}

function nameProblem(issue: Extract<Issue, { code: 'invalid_key' }>): string {
  return issue.issues[0]?.message ?? 'is not a name';
}

function kindOf(expected: string, value: unknown): string {
  switch (expected) {
    case 'object':
    case 'record':
      return 'a map of keys and values';
    case 'array':
      return 'a list';
    case 'boolean':
      return typeof value === 'string' ? 'true or false, without quotes' : 'true or false';
    case 'number':
    case 'int':
    case 'integer':
      return typeof value === 'string' ? 'a whole number, without quotes' : 'a whole number';
    default:
      return article(expected);
  }
}

/** The candidate that was probably meant, or none. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best !== undefined && best.distance <= Math.max(1, Math.floor(word.length / 3)) ? best.candidate : undefined;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** `routes[0].methods[1]` */
function readable(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('');
}

function valueAt(raw: unknown, path: Path): unknown {
  let value = raw;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

function oneOf(values: readonly unknown[]): string {
  const quoted = values.map((value) => (typeof value === 'string' ? `"${value}"` : String(value)));
  return quoted.length === 1 ? String(quoted[0]) : `one of ${quoted.join(', ')}`;
}

const article = (noun: string) => `${/^[aeio]/.test(noun) ? 'an' : 'a'} ${noun}`;

const plural = (count: number | bigint, noun: string) => `${count} ${noun}${Number(count) === 1 ? '' : 's'}`;
