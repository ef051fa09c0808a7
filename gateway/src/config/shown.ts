import type { Path, Source } from './yaml.ts';

/** Of a URL, wherever it stands; greedy, since a password may have an `@` or a slash in it. */
const userinfo = /\/\/\S*@/g;

/**
 * The file's values for somebody to look at. What came from the environment stays the variable that it is, and secrets come from
 * variables and files only (`readSecrets` sees to it): so none can be in here, under whatever key.
 */
export function shownConfig(source: Source): unknown {
  return shown(source, source.value, []);
}

function shown(source: Source, value: unknown, path: Path): unknown {
  if (typeof value === 'string') return source.shownAt(path).replace(userinfo, '//[redacted]@');
  if (Array.isArray(value)) return value.map((item, index) => shown(source, item, [...path, index]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shown(source, item, [...path, key])]));
}
