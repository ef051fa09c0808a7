const probes: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);
/** No percent-encoding and no dot segments: nothing that a router might read as a path outside. */
const wellKnown = /^\/\.well-known(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/;

/** The paths that a service answers without an identity; compared with the raw target, byte for byte. */
export function isExempt(target: string): boolean {
  const path = target.split('?', 1)[0] ?? target;
  return probes.has(path) || (path.length <= 256 && wellKnown.test(path));
}
