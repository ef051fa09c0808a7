import type { Registry } from '@countersign/service-kit';
import { Histogram } from 'prom-client';

/** @returns What is told of each revocation that came in. Quantiles of it are what the promise of a second is held against. */
export function observeLag(registry: Registry): (issuer: string, lagMs: number) => void {
  const seconds = new Histogram({
    name: 'countersign_revocation_lag_seconds',
    help: 'From the whole second that a revocation counts from, which is up to a second after it was written, until it was in force here.',
    labelNames: ['issuer'],
    buckets: [0.001, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60],
    registers: [registry],
  });
  return (issuer, lagMs) => seconds.observe({ issuer }, lagMs / 1000);
}
