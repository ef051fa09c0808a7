import type { Refuse } from './cross-checks.ts';
import type { RoutePieces } from './routes.ts';

type Sharing = Readonly<{
  routes: readonly RoutePieces[];
  services: readonly string[];
  publicOrigins: readonly string[];
}>;

/**
 * Requires Redis with several workers if they share state. Without it, each would apply its own copy of a limit, and a captured call
 * or DPoP proof would work once in each.
 */
export function checkRedisForWorkers(
  { routes, services, publicOrigins }: Sharing,
  workers: number,
  refuse: Refuse,
): void {
  if (workers === 1) return;
  const limited = routes.filter(({ limits = [] }) => limits.length > 0);
  const proving = publicOrigins.length > 0 ? routes : [];
  const reasons: readonly (readonly [names: readonly string[], why: (some: string) => string])[] = [
    [limited.map(nameOf), (some) => `each would count the limits of ${some} for itself`],
    [services, (some) => `each would remember for itself which calls of ${some} were made`],
    [proving.map(nameOf), (some) => `each would remember for itself which DPoP proofs ${some} took`],
  ];
  for (const [names, why] of reasons) {
    if (names.length === 0) continue;
    refuse([], `"redis" is required with ${workers} workers: ${why(someOf(names))}`, { absent: 'redis' });
  }
}

const nameOf = ({ name = 'a route' }: RoutePieces): string => name;

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
