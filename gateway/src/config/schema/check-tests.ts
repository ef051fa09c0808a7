import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';

/** What a test may speak of. `routes` undefined: not all could be read. */
export type Named = Readonly<{
  routes: ReadonlySet<string | undefined> | undefined;
  upstreams: Readonly<{ has(name: string): boolean }>;
  services: Readonly<{ has(name: string): boolean }>;
}>;

/** What holds between tests and what they speak of. */
export function checkTests(tests: Parts['tests'], { routes, upstreams, services }: Named): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [index, test] of tests.entries()) {
    const refuse = (path: readonly string[], message: string) =>
      findings.push({ path: ['tests', index, ...path], message });
    const { service } = test.request ?? {};
    if (service !== undefined && !services.has(service)) {
      refuse(['request', 'service'], `"${service}" is not a service of the configuration`);
    }
    const { expect } = test;
    if (expect === undefined) continue;
    if (expect.route !== undefined && routes !== undefined && !routes.has(expect.route)) {
      refuse(['expect', 'route'], `"${expect.route}" is not a route of the configuration`);
    }
    if (expect.upstream !== undefined && !upstreams.has(expect.upstream)) {
      refuse(['expect', 'upstream'], `"${expect.upstream}" is not an upstream of the configuration`);
    }
    for (const key of expect.allowed ? (['status', 'code'] as const) : (['upstream', 'path'] as const)) {
      if (expect[key] === undefined) continue;
      refuse(['expect', key], expect.allowed ? 'belongs to a refusal' : 'a refused request has none');
    }
  }
  return findings;
}
