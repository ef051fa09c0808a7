const probes: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);
/** No percent-encoding and no dot segments, so that no router can resolve the path to one outside `/.well-known`. */
const wellKnown = /^\/\.well-known(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/;

/**
 * Whether a request needs no identity: GET or HEAD on a probe or well-known path. It compares the raw target byte for
 * byte. Methods that can change state are never exempt.
 */
export function isExempt(method: string, target: string): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  const path = target.split('?', 1)[0] ?? target;
  return probes.has(path) || (path.length <= 256 && wellKnown.test(path));
}
