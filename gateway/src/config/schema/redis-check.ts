import type { Refuse } from './cross-checks.ts';
import type { RoutePieces } from './routes.ts';

type Sharing = Readonly<{
  routes: readonly RoutePieces[];
  services: Readonly<Record<string, unknown>>;
  publicOrigins?: readonly string[] | undefined;
  redis?: string | undefined;
}>;

/**
 * Requires Redis if several workers share state. Without it, each worker would count limits separately, and a captured
 * call or DPoP proof would work once in each.
 */
export function checkRedisForWorkers(file: Sharing, workers: number, refuse: Refuse): void {
  const { routes, services, publicOrigins = [], redis } = file;
  if (workers === 1 || redis !== undefined) return;
  const limited = routes.filter(({ limits = [] }) => limits.length > 0);
  const proving = publicOrigins.length > 0 ? routes : [];
  for (const [names, why] of [
    [limited.map(nameOf), 'count the limits of … separately'],
    [Object.keys(services), 'remember calls of … separately'],
    [proving.map(nameOf), 'remember the DPoP proofs of … separately'],
  ] as const) {
    const reason = `each would ${why.replace('…', () => someOf(names))}`;
    if (names.length > 0) refuse([], `"redis" is required with ${workers} workers: ${reason}`, { absent: 'redis' });
  }
}

const nameOf = ({ name = 'a route' }: RoutePieces): string => name;

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
