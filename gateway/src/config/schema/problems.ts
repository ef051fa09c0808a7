import { printable } from '@countersign/service-kit';
import { closest, type FileProblem, type Path, type Source } from '@countersign/strict-yaml';
import type { z } from 'zod';
import { type FlatFile, pathText } from '../route-groups.ts';
import type { Conflict } from './cross-checks.ts';
import { allowedKeys } from './messages.ts';

/**
 * A problem with the value at a path. `key`: the key of the value that has the problem. `absent`: the missing key.
 * `other`: the conflicting value. `meant`: the allowed key that an unknown key probably misspells.
 */
type ValueProblem = Readonly<{
  path: Path;
  message: string;
  key?: string;
  absent?: string;
  other?: Path;
  meant?: string | undefined;
  /** Found by a cross-check. */
  isConflict?: true;
}>;

/**
 * Every problem in a file as `file:line:column: message`, in the order of the file.
 *
 * @param flat The input of the schema.
 */
export function problemsIn(
  file: string,
  source: Source,
  error: z.ZodError | undefined,
  flat: FlatFile,
): readonly string[] {
  // Problems of the schema would only repeat that the file is unreadable.
  const issues = source.value === undefined ? [] : (error?.issues ?? []);
  const findings = findingsOf(issues, flat.value).map((finding) => inFile(finding, flat));
  // A map with an unreadable key is broken as a whole, but its other keys are not.
  const ours = findings.filter(
    ({ path, absent, key }) => key !== undefined || !source.isBroken(absent === undefined ? path : [...path, absent]),
  );
  return problemLines(file, source, [
    ...source.problems,
    ...flat.problems,
    ...ours.map((finding) => problemAt(finding, source)),
  ]);
}

/** A rule of a valid file that no caller can match, at a path or at a key of it. */
export type Warning = Readonly<{ path: Path; message: string; key?: string }>;

/** Each warning as `file:line:column: warning: message`, once, in the order of the file. */
export function warningsIn(file: string, source: Source, flat: FlatFile, warnings: readonly Warning[]) {
  const found = warnings
    .map((warning) => problemAt(inFile(warning, flat), source))
    .map(({ offset, message }) => ({ offset, message: `warning: ${message}` }));
  // All routes of a group have the group's rules.
  const once = new Map(found.map((one) => [`${one.offset} ${one.message}`, one]));
  return problemLines(file, source, [...once.values()]);
}

function findingsOf(issues: readonly z.core.$ZodIssue[], raw: unknown): readonly ValueProblem[] {
  const ofWrongType = new Set(
    issues.flatMap(({ code, path }) => (code === 'invalid_type' ? [JSON.stringify(path)] : [])),
  );
  const findings = issues
    // zod also reports the length of a text in place of a list.
    .filter(({ code, path }) => code === 'invalid_type' || !ofWrongType.has(JSON.stringify(path)))
    .flatMap((issue) => findingsOfIssue(issue, raw));
  const misspelled = new Set(findings.flatMap(({ path, meant }) => (meant === undefined ? [] : [keyOf(path, meant)])));
  // A misspelled key is one problem, and not a missing key as well.
  return findings.filter(({ path, absent }) => absent === undefined || !misspelled.has(keyOf(path, absent)));
}

const keyOf = (path: Path, key: string): string => JSON.stringify([...path, key]);

function findingsOfIssue(issue: z.core.$ZodIssue, raw: unknown): readonly ValueProblem[] {
  const { message } = issue;
  const path = issue.path as Path;
  const [parent, key] = [path.slice(0, -1), String(path.at(-1))];
  // A problem of a cross-check, whose message is complete.
  if (issue.code === 'custom' && issue.params !== undefined) {
    return [{ path, message, isConflict: true, ...(issue.params as Conflict) }];
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((unknown) => ({ path, key: unknown, ...unknownKey(unknown, allowedKeys(message)) }));
  }
  if (issue.code === 'invalid_key') return [{ path: parent, key, message: issue.issues[0]?.message ?? message }];
  const value = valueAt(raw, path);
  if (value === undefined) return [{ path: parent, absent: key, message: `"${key}" is required: ${message}` }];
  return [{ path, message: value === null ? `has no value; ${message}` : message }];
}

function unknownKey(key: string, allowed: readonly string[]): Pick<ValueProblem, 'message' | 'meant'> {
  const meant = closest(key, allowed);
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  return { message: `unknown key "${key}"${hint} (allowed here: ${allowed.join(', ')})`, meant };
}

/** The same problem where the file has it. Names the route if only it has a problem with a value of its group. */
function inFile(finding: ValueProblem, { value, pathInFile }: FlatFile): ValueProblem {
  const { path, key, other, isConflict, message } = finding;
  const at = key === undefined ? pathInFile(path) : pathInFile([...path, key]).slice(0, -1);
  const route = path.slice(0, 2);
  const isInherited = isConflict && path.length > 2 && at.length < pathInFile(route).length + path.length - 2;
  const note = isInherited ? `, in the route "${valueAt(value, [...route, 'name'])}"` : '';
  return { ...finding, path: at, message: message + note, ...(other && { other: pathInFile(other) }) };
}

/** `routes[2].auth: must be …`, with its offset in the file. */
function problemAt(finding: ValueProblem, source: Source): FileProblem {
  const { path, key, other } = finding;
  const offset = key === undefined ? source.placeOf(path).offset : source.placeOf([...path, key]).keyOffset;
  const where = pathText(path);
  const message = withoutVariable(finding, source);
  return {
    offset,
    message: where === '' ? message : `${where}: ${message}`,
    ...(other && { other: source.placeOf(other).offset }),
  };
}

/** Replaces a value from the environment by its variable, because it could be a secret in the wrong place. */
function withoutVariable({ path, message }: ValueProblem, source: Source): string {
  // These messages quote only the schema.
  if (source.originOf(path) === 'written' || message.startsWith('must ')) return message;
  const value = String(valueAt(source.value, path));
  const start = message.indexOf('"');
  // Cuts at the last quotation mark, because the value may contain some.
  for (let end = message.lastIndexOf('"'); end > start + 1; end = message.lastIndexOf('"', end - 1)) {
    if (!value.includes(message.slice(start + 1, end))) continue;
    return message.slice(0, start) + JSON.stringify(source.redactedAt(path)) + message.slice(end + 1);
  }
  return message;
}

const maxShown = 200;

function problemLines(file: string, source: Source, problems: readonly FileProblem[]): readonly string[] {
  const ordered = problems.toSorted((a, b) => a.offset - b.offset);
  const placeOf = (offset: number) => `${file}:${source.lineColumn(offset)}`;
  const lines = ordered.slice(0, maxShown).map(({ offset, message, other }) => {
    const clash = other === undefined ? '' : ` (${placeOf(other)})`;
    return `${placeOf(offset)}: ${printable(message)}${clash}`;
  });
  if (ordered.length > maxShown) lines.push(`${file}: and ${ordered.length - maxShown} more`);
  return [...new Set(lines)];
}

export function valueAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<string | number, unknown> | undefined)?.[step], raw);
}
