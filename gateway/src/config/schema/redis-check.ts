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
export function checkRedisForWorkers(sharing: Sharing, workers: number, refuse: Refuse): void {
  if (workers === 1) return;
  for (const reason of reasonsToShare(sharing)) {
    refuse([], `"redis" is required with ${workers} workers: ${reason}`, { absent: 'redis' });
  }
}

function reasonsToShare({ routes, services, publicOrigins }: Sharing): string[] {
  const limited = routes.filter(({ limits = [] }) => limits.length > 0);
  const reasons: string[] = [];
  if (limited.length > 0) reasons.push(`each would count the limits of ${someOf(limited.map(nameOf))} for itself`);
  if (services.length > 0) reasons.push(`each would remember for itself which calls of ${someOf(services)} were made`);
  if (publicOrigins.length > 0 && routes.length > 0) {
    reasons.push(`each would remember for itself which DPoP proofs ${someOf(routes.map(nameOf))} took`);
  }
  return reasons;
}

const nameOf = ({ name = 'a route' }: RoutePieces): string => name;

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
