import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';

/** What holds between a test and the routes it speaks of. */
export function checkTests({ tests, routes, upstreams, services }: Parts): readonly Finding[] {
  const findings: Finding[] = [];
  const names = new Set(routes.map((route) => route?.name));
  // A route with a problem of its own has no name here, and a test of it would be blamed for that.
  const allRoutesRead = !routes.includes(undefined);
  for (const [index, test] of tests.entries()) {
    if (test === undefined) continue;
    const refuse = (path: readonly string[], message: string) =>
      findings.push({ path: ['tests', index, ...path], message });
    const { request, expect } = test;
    if (request.service !== undefined && !services.has(request.service)) {
      refuse(['request', 'service'], `"${request.service}" is not a service of this file`);
    }
    if (expect.route !== undefined && allRoutesRead && !names.has(expect.route)) {
      refuse(['expect', 'route'], `"${expect.route}" is not a route of this file`);
    }
    if (expect.upstream !== undefined && !upstreams.has(expect.upstream)) {
      refuse(['expect', 'upstream'], `"${expect.upstream}" is not an upstream of this file`);
    }
    for (const key of expect.allowed ? (['status', 'code'] as const) : (['upstream', 'path'] as const)) {
      if (expect[key] === undefined) continue;
      refuse(['expect', key], expect.allowed ? 'belongs to a refusal' : 'a refused request has none');
    }
  }
  return findings;
}
