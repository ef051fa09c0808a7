import type { Route } from '../config/config.ts';

/**
 * The path that the upstream gets: whole segments of the front are exchanged, so `/v1` never touches `/v10`.
 *
 * @param path A canonical path that this route matched. What comes back is canonical too.
 */
export function rewritePath(path: string, rewrite: Route['rewrite']): string {
  if (rewrite === undefined) return path;
  const from = rewrite.from === '/' ? '' : rewrite.from;
  if (path !== from && !path.startsWith(`${from}/`)) return path;
  const to = rewrite.to === '/' ? '' : rewrite.to;
  return to + path.slice(from.length) || '/';
}
