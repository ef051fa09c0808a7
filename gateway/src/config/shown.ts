import type { Path, Source } from './yaml/source.ts';

/** Of a URL, wherever it stands; greedy, since a password may have an `@` or a slash in it. */
const userinfo = /\/\/\S*@/g;

/**
 * The file's values for somebody to look at, as JSON. What came from the environment stays the variable that it is, and secrets come from
 * variables and files only (`readSecrets` sees to it): so none can be in here, under whatever key.
 */
export function shownConfig(source: Source): string {
  const copy = shown(source.value);
  for (const variable of source.variables()) put(copy, variable.path, shown(variable.shown));
  return JSON.stringify(copy);
}

function shown(value: unknown): unknown {
  if (typeof value === 'string') return value.includes('@') ? value.replace(userinfo, '//[redacted]@') : value;
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shown(item)]));
}

/** Puts a value at a path where one is: an empty variable is not in the copy. */
function put(copy: unknown, path: Path, value: unknown): void {
  let holder = copy as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) holder = holder[step] as typeof holder;
  const last = path.at(-1) ?? '';
  if (holder[last] !== undefined) holder[last] = value;
}
