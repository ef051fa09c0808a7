import type { Refuse } from './cross-checks.ts';
import type { RoutePieces } from './routes.ts';

type Sharing = Readonly<{
  routes: readonly RoutePieces[];
  services: Readonly<Record<string, unknown>>;
  publicOrigins?: readonly string[] | undefined;
  redis?: string | undefined;
  instances?: 'one' | 'many' | undefined;
  issuers: readonly Readonly<{ name?: string | undefined; events?: unknown }>[];
}>;

/**
 * Requires Redis if several processes share state: workers, or several gateways. Without Redis, each would count limits
 * separately and know only its own events, and a captured call or DPoP proof would work once in each.
 */
export function checkRedisForProcesses(file: Sharing, workers: number, refuse: Refuse): void {
  const { routes, services, issuers, publicOrigins = [], redis, instances } = file;
  if ((workers === 1 && instances !== 'many') || redis !== undefined) return;
  const limited = routes.filter(({ limits = [] }) => limits.length > 0);
  const proving = publicOrigins.length > 0 ? routes : [];
  const several = workers > 1 ? `${workers} workers` : 'instances: many';
  for (const [names, why] of [
    [limited.map(nameOf), 'count the limits for … separately'],
    [Object.keys(services), 'remember calls from … separately'],
    [proving.map(nameOf), 'remember the DPoP proofs for … separately'],
    [issuers.filter(({ events }) => events !== undefined).map(nameOf), 'know only some events from …'],
  ] as const) {
    const reason = `each process would ${why.replace('…', () => someOf(names))}`;
    if (names.length > 0) refuse([], `"redis" is required with ${several}: ${reason}`, { absent: 'redis' });
  }
}

const nameOf = ({ name = '(unnamed)' }: Readonly<{ name?: string | undefined }>): string => name;

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
