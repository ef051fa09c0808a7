import type { Path, Source } from './yaml/source.ts';

/** User and password of a URL in any text. Greedy, since a password may contain an `@` or a slash. */
const userinfo = /\/\/\S*@/g;

/**
 * The values of a file as JSON, for operators. A value from the environment is replaced by the name of its variable. `readSecrets` takes
 * secrets from variables and files only, so none is left.
 */
export function redactedConfig(source: Source): string {
  const copy = redact(source.value);
  for (const variable of source.variables()) put(copy, variable.path, redact(variable.redacted));
  return JSON.stringify(copy);
}

function redact(value: unknown): unknown {
  if (typeof value === 'string') return value.includes('@') ? value.replace(userinfo, '//[redacted]@') : value;
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redact(item)]));
}

/** Replaces the value at a path. An empty variable has none in the copy. */
function put(copy: unknown, path: Path, value: unknown): void {
  let holder = copy as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) holder = holder[step] as typeof holder;
  const last = path.at(-1) ?? '';
  if (holder[last] !== undefined) holder[last] = value;
}
