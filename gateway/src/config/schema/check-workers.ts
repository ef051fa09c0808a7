import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';

/**
 * Workers are processes, and what each remembers for itself the others do not know: a limit would be so many times what is
 * written, and a captured call could be made once in each. Redis is what they share.
 */
export function checkWorkers(parts: Parts, workers: number): readonly Finding[] {
  if (workers === 1 || parts.hasRedis) return [];
  return reasonsToShare(parts).map((reason) => ({
    path: [],
    absent: 'redis',
    message: `"redis" is required with ${workers} workers: ${reason}`,
  }));
}

function reasonsToShare({ routes, services, publicOrigins = [] }: Parts): string[] {
  const limited = routes.filter(({ limits = [] }) => limits.length > 0);
  const reasons: string[] = [];
  if (limited.length > 0) reasons.push(`each would count the limits of ${someOf(limited.map(nameOf))} for itself`);
  if (services.size > 0) {
    reasons.push(`each would remember for itself which calls of ${someOf([...services])} were made`);
  }
  if (publicOrigins.length > 0 && routes.length > 0) {
    reasons.push(`each would remember for itself which DPoP proofs ${someOf(routes.map(nameOf))} took`);
  }
  return reasons;
}

const nameOf = ({ name = 'a route' }: Parts['routes'][number]): string => name;

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
