import { ConfigError } from '@countersign/service-kit';
import type { GatewayConfig } from './config.ts';

/**
 * Workers are processes, and what each remembers for itself the others do not know: a limit would be so many times what is
 * written, and a captured call could be made once in each. Redis is what they share.
 *
 * @returns Problems, for a person; none for one worker.
 */
export function checkWorkers(config: GatewayConfig, workers: number): readonly string[] {
  if (workers === 1 || config.redis !== undefined) return [];
  return reasonsToShare(config).map(
    (reason) => `${config.file}:1:1: "redis" is required with ${workers} workers: ${reason}`,
  );
}

/** @returns The same. @throws ConfigError where so many workers cannot serve it. */
export function forWorkers(config: GatewayConfig, workers: number): GatewayConfig {
  const problems = checkWorkers(config, workers);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function reasonsToShare({ routes, services }: GatewayConfig): string[] {
  const limited = routes.filter(({ limits }) => limits.length > 0).map(({ name }) => name);
  const proven = routes.filter(({ schemes }) => schemes.includes('DPoP')).map(({ name }) => name);
  const reasons: string[] = [];
  if (limited.length > 0) reasons.push(`each would count the limits of ${someOf(limited)} for itself`);
  if (services.size > 0) {
    reasons.push(`each would remember for itself which calls of ${someOf([...services.keys()])} were made`);
  }
  if (proven.length > 0) reasons.push(`each would remember for itself which DPoP proofs ${someOf(proven)} took`);
  return reasons;
}

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
