import { printable } from '@countersign/process-kit';
import { closest, type FileProblem, type Path, type Source } from '@countersign/strict-yaml';
import type { z } from 'zod';
import { type FlatFile, pathText, valueAt } from '../route-groups.ts';
import { allowedKeys } from '../schema/messages.ts';
import type { Conflict } from './cross-checks.ts';

/**
 * A problem with the value at a path. `key` is the key in that value that has the problem, `absent` is the missing
 * key, `other` is the conflicting value, and `meant` is the allowed key that an unknown key probably misspells.
 */
type ValueProblem = Readonly<{
  path: Path;
  message: string;
  key?: string;
  absent?: string;
  other?: Path;
  meant?: string | undefined;
  isConflict?: true;
}>;

/** Lists every problem as `file:line:column: message`, in file order. */
export function problemsIn(
  file: string,
  source: Source,
  error: z.ZodError | undefined,
  flat: FlatFile,
): readonly string[] {
  // If the file is unreadable, the schema's problems would only repeat that.
  const issues = source.value === undefined ? [] : (error?.issues ?? []);
  const problems = problemsOf(issues, flat.value).map((problem) => inFile(problem, flat));
  // An unreadable key makes its whole map unusable, but the map's other keys can still be checked.
  const ours = problems.filter(
    ({ path, absent, key }) => key !== undefined || !source.isBroken(absent === undefined ? path : [...path, absent]),
  );
  return problemLines(file, source, [
    ...source.problems,
    ...flat.problems,
    ...ours.map((problem) => problemAt(problem, source)),
  ]);
}

/** A rule in a valid file that no caller can match, with its path or with one of its keys. */
export type Warning = Readonly<{ path: Path; message: string; key?: string }>;

export function warningsIn(file: string, source: Source, flat: FlatFile, warnings: readonly Warning[]) {
  const found = warnings
    .map((warning) => problemAt(inFile(warning, flat), source))
    .map(({ offset, message }) => ({ offset, message: `warning: ${message}` }));
  // All routes of a group share the group's rules.
  const once = new Map(found.map((one) => [`${one.offset} ${one.message}`, one]));
  return problemLines(file, source, [...once.values()]);
}

function problemsOf(issues: readonly z.core.$ZodIssue[], raw: unknown): readonly ValueProblem[] {
  const ofWrongType = new Set(
    issues.flatMap(({ code, path }) => (code === 'invalid_type' ? [JSON.stringify(path)] : [])),
  );
  const problems = issues
    // zod also reports the length of a text that stands where a list belongs.
    .filter(({ code, path }) => code === 'invalid_type' || !ofWrongType.has(JSON.stringify(path)))
    .flatMap((issue) => problemsOfIssue(issue, raw));
  const misspelled = new Set(problems.flatMap(({ path, meant }) => (meant === undefined ? [] : [keyOf(path, meant)])));
  // A misspelled key is reported once, and not as a missing key too.
  return problems.filter(({ path, absent }) => absent === undefined || !misspelled.has(keyOf(path, absent)));
}

const keyOf = (path: Path, key: string): string => JSON.stringify([...path, key]);

function problemsOfIssue(issue: z.core.$ZodIssue, raw: unknown): readonly ValueProblem[] {
  const { message } = issue;
  const path = issue.path as Path;
  const [parent, key] = [path.slice(0, -1), String(path.at(-1))];
  // A cross-check reported this problem, and its message is complete.
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

/**
 * Moves a problem to its place in the file. Names the route if the value comes from a group and only this route has
 * the problem.
 */
function inFile(problem: ValueProblem, { value, pathInFile }: FlatFile): ValueProblem {
  const { path, key, other, isConflict, message } = problem;
  const at = key === undefined ? pathInFile(path) : pathInFile([...path, key]).slice(0, -1);
  const route = path.slice(0, 2);
  const isInherited = isConflict && path.length > 2 && at.length < pathInFile(route).length + path.length - 2;
  const note = isInherited ? `, in the route "${valueAt(value, [...route, 'name'])}"` : '';
  return { ...problem, path: at, message: message + note, ...(other && { other: pathInFile(other) }) };
}

function problemAt(problem: ValueProblem, source: Source): FileProblem {
  const { path, key, other } = problem;
  const offset = key === undefined ? source.placeOf(path).offset : source.placeOf([...path, key]).keyOffset;
  const where = pathText(path);
  const message = withoutVariable(problem, source);
  return {
    offset,
    message: where === '' ? message : `${where}: ${message}`,
    ...(other && { other: source.placeOf(other).offset }),
  };
}

/** Replaces a value from the environment with its variable, because the value could be a secret in the wrong place. */
function withoutVariable({ path, message }: ValueProblem, source: Source): string {
  // These messages quote nothing but the schema.
  if (source.originOf(path) === 'written' || message.startsWith('must ')) return message;
  const value = String(valueAt(source.value, path));
  const start = message.indexOf('"');
  // Cuts at the last quotation mark, because the value may contain quotation marks too.
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
