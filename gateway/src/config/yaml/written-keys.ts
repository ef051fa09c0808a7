// JavaScript moves keys that look like integers to the front of an object. Most files have none, so only those maps are here.
const written = new WeakMap<object, readonly string[]>();
const integerLike = /^(?:0|[1-9]\d*)$/;

/** Remembers the order in which the keys of a map are written. */
export function rememberKeys(map: Record<string, unknown>, keys: readonly string[]): void {
  if (keys.some((key) => integerLike.test(key))) written.set(map, keys);
}

/** The keys of a map in the order of the file. */
export function writtenKeys(map: Record<string, unknown>): readonly string[] {
  return written.get(map) ?? Object.keys(map);
}
