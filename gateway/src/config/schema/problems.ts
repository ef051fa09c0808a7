import type { z } from 'zod';
import type { FileProblem, Path, Source } from '../yaml/source.ts';
import { printable } from '../yaml/syntax.ts';
import { closest } from './closest.ts';
import type { CheckParams } from './cross-checks.ts';
import { type JsonSchema, jsonSchema, schemasAt } from './json-schema.ts';
import { schema } from './schema.ts';

type Issue = z.core.$ZodIssue;

/**
 * A problem of the value at a path. `key`: the problem is one of its keys. `absent`: the missing key. `other`: the value that it
 * conflicts with. `meant`: the allowed key that an unknown key is probably a misspelling of.
 */
type ValueProblem = Readonly<{
  path: Path;
  message: string;
  key?: string;
  absent?: string;
  other?: Path;
  meant?: string | undefined;
}>;

/**
 * Every problem of a file as `file:line:column: message`, in the order of the file.
 *
 * @param of The schema that found them.
 */
export function problemsIn(
  file: string,
  source: Source,
  error: z.ZodError | undefined,
  of: z.ZodType = schema,
): readonly string[] {
  // Problems of the schema would only repeat that the file is unreadable.
  const findings = source.value === undefined ? [] : findingsOf(error?.issues ?? [], source.value, jsonSchema(of));
  // A map with an unreadable key is broken as a whole, but its other keys are not.
  const ours = findings.filter(
    ({ path, absent, key }) => key !== undefined || !source.isBroken(absent === undefined ? path : [...path, absent]),
  );
  return problemLines(file, source, [...source.problems, ...ours.map((finding) => problemAt(finding, source))]);
}

/** Turns the issues of zod into sentences that name the allowed values. They never repeat a value: it could be a secret. */
function findingsOf(issues: readonly Issue[], raw: unknown, root: JsonSchema): readonly ValueProblem[] {
  const ofWrongType = new Set(
    issues.flatMap(({ code, path }) => (code === 'invalid_type' ? [JSON.stringify(path)] : [])),
  );
  const findings = issues
    // zod also reports the length of a text in place of a list.
    .filter(({ code, path }) => code === 'invalid_type' || !ofWrongType.has(JSON.stringify(path)))
    .flatMap((issue) => findingsOfIssue(issue, raw, root));
  const misspelled = new Set(findings.flatMap(({ path, meant }) => (meant === undefined ? [] : [keyOf(path, meant)])));
  // A misspelled key is one problem, not also a missing key.
  return findings.filter(({ path, absent }) => absent === undefined || !misspelled.has(keyOf(path, absent)));
}

const keyOf = (path: Path, key: string): string => JSON.stringify([...path, key]);

/** `routes[2].auth: must be …`, with its offset in the file. */
function problemAt(finding: ValueProblem, source: Source): FileProblem {
  const where = pathText(finding.path);
  const offset =
    finding.key === undefined ? source.offsetOf(finding.path) : source.keyOffsetOf([...finding.path, finding.key]);
  const message = withoutVariable(finding, source);
  return {
    offset,
    message: where === '' ? message : `${where}: ${message}`,
    ...(finding.other && { other: source.offsetOf(finding.other) }),
  };
}

/** Replaces a value from the environment by its variable: it could be a secret in the wrong place. */
function withoutVariable({ path, message }: ValueProblem, source: Source): string {
  // These messages quote the schema only.
  if (source.originOf(path) === 'written' || message.startsWith('must ')) return message;
  const value = String(valueAt(source.value, path));
  const start = message.indexOf('"');
  // From the last quotation mark, since the value may contain some.
  for (let end = message.lastIndexOf('"'); end > start + 1; end = message.lastIndexOf('"', end - 1)) {
    if (!value.includes(message.slice(start + 1, end))) continue;
    return message.slice(0, start) + JSON.stringify(source.redactedAt(path)) + message.slice(end + 1);
  }
  return message;
}

const maxShown = 200;

/** Formats problems as `file:line:column: message`, in the order of the file. */
function problemLines(file: string, source: Source, problems: readonly FileProblem[]): readonly string[] {
  const ordered = problems.toSorted((a, b) => a.offset - b.offset);
  const shown = ordered.slice(0, maxShown);
  const placeOf = (offset: number) => `${file}:${source.lineColumn(offset)}`;
  const lines = shown.map(({ offset, message, other }) => {
    const clash = other === undefined ? '' : ` (${placeOf(other)})`;
    return `${placeOf(offset)}: ${printable(message)}${clash}`;
  });
  if (ordered.length > maxShown) lines.push(`${file}: and ${ordered.length - maxShown} more`);
  return [...new Set(lines)];
}

function findingsOfIssue(issue: Issue, raw: unknown, root: JsonSchema): readonly ValueProblem[] {
  const path = issue.path as Path;
  switch (issue.code) {
    case 'custom':
      if (issue.params === undefined) break;
      return [{ path, message: issue.message, ...(issue.params as CheckParams).conflict }];
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path, key, ...unknownKey(key, schemasAt(root, path)) }));
    case 'invalid_key':
      return [
        { path: path.slice(0, -1), key: String(path.at(-1)), message: issue.issues[0]?.message ?? issue.message },
      ];
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
      // zod's own type for a whole number is number.
      return issue.message.startsWith('Invalid input')
        ? `must be ${kindOf(schemasAt(root, path)[0]?.type ?? issue.expected, value)}`
        : issue.message;
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}${issue.values.some((allowed) => String(allowed) === value) ? ', without quotes' : ''}`;
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

function missing(path: Path, root: JsonSchema): ValueProblem {
  const key = path.at(-1);
  return { path: path.slice(0, -1), absent: String(key), message: `"${key}" is required: ${allowedAt(root, path)}` };
}

/** The allowed values at a path, in a few words. */
function allowedAt(root: JsonSchema, path: Path): string {
  const parts = schemasAt(root, path);
  const values = parts.flatMap((part) => part.enum ?? (part.const === undefined ? [] : [part.const]));
  if (values.length > 0) return `must be ${oneOf(values)}`;
  const [part] = parts;
  if (part?.['x-type'] !== undefined) return `must be ${article(part['x-type'])}`;
  return part?.type === undefined ? 'must have a value' : `must be ${kindOf(part.type, undefined)}`;
}

function unknownKey(key: string, parts: readonly JsonSchema[]): Pick<ValueProblem, 'message' | 'meant'> {
  // Of several alternatives, the chosen one is among those without the key.
  const chosen = parts.filter((part) => part.properties?.[key] === undefined);
  const allowed = [...new Set(chosen.flatMap((part) => Object.keys(part.properties ?? {})))];
  const meant = closest(key, allowed);
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  return { message: `unknown key "${key}"${hint} (allowed here: ${allowed.join(', ')})`, meant };
}

function kindOf(expected: string, value: unknown): string {
  switch (expected) {
    case 'object':
    case 'record':
      return 'a map of keys and values';
    case 'array':
      return 'a list';
    case 'boolean':
      return typeof value === 'string'
        ? 'true or false: values in quotes, values of variables, and yes, no, on and off are text'
        : 'true or false';
    case 'number':
    case 'integer': {
      const kind = expected === 'number' ? 'a number' : 'a whole number';
      return typeof value === 'string' ? `${kind}, in digits: values in quotes and values of variables are text` : kind;
    }
    default:
      return article(expected);
  }
}

/** `routes[0].methods[1]` */
function pathText(path: Path): string {
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
