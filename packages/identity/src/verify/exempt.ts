const probes: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);
/** No percent-encoding and no dot segments: nothing that a router might read as a path outside. */
const wellKnown = /^\/\.well-known(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/;

/**
 * What a service answers without an identity: GET and HEAD on these paths, compared with the raw target, byte for byte. A method that
 * changes something is never for everybody.
 */
export function isExempt(method: string, target: string): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  const path = target.split('?', 1)[0] ?? target;
  return probes.has(path) || (path.length <= 256 && wellKnown.test(path));
}
