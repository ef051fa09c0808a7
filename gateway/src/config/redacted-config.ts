import type { Path, Source } from '@countersign/strict-yaml';
import { isMap } from './schema/values/shapes.ts';

/** The user and password of a URL in any text. Greedy, because a password may contain an `@` or a slash. */
const userinfo = /\/\/\S*@/g;

/**
 * Returns the values of a file as JSON, for operators. A value from the environment is replaced by its variable's
 * name. `readSecrets` accepts secrets only from variables and files, so the JSON contains none.
 */
export function redactedConfig(source: Source): string {
  const redact = (value: unknown, path: Path): unknown => {
    if (typeof value === 'string') return (source.redactedAt(path) || value).replace(userinfo, '//[redacted]@');
    if (Array.isArray(value)) return value.map((item, index) => redact(item, [...path, index]));
    if (!isMap(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redact(item, [...path, key])]));
  };
  return JSON.stringify(redact(source.value, []));
}
