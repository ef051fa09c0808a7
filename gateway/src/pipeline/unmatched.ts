import { addressKey } from '@countersign/process-kit';
import { AppError, type Code } from '../errors.ts';
import { LocalLimiter } from '../limits/limiter.ts';
import type { RequestRecord } from './request-record.ts';

/** How many requests without a route a client address may send. The next one is the last that is logged. */
const perMinute = 600;
const maxAddresses = 20_000;

const unmatchedCodes: ReadonlySet<string> = new Set<Code>([
  'no_route',
  'invalid_target',
  'uri_too_long',
  'method_not_allowed',
]);

export const isUnmatchedCode = (code: string | undefined): boolean => unmatchedCodes.has(code ?? '');

/** Whether a request was refused because no route has its method and path. */
export const isUnmatched = (error: unknown): error is AppError =>
  error instanceof AppError && isUnmatchedCode(error.code);

/** Counts a refusal of an address. Returns the error, or `rate_limited` once the address has used its budget. */
export type CountUnmatched = (error: unknown, address: string, record: RequestRecord) => unknown;

/**
 * Creates the budget of 600 such requests a minute and address, in this process. Beyond it, one refusal a minute and
 * address is logged, and metrics count the others.
 */
export function createUnmatchedBudget(nowMs?: () => number): CountUnmatched {
  const unmatched = new LocalLimiter({ requests: perMinute + 1, perSec: 60 }, maxAddresses, nowMs);
  return (error, address, record) => {
    const { allowed, remaining, resetSec } = unmatched.take(addressKey(address));
    if (remaining > 0) return error;
    record.isUnlogged = !allowed;
    return new AppError('rate_limited', {
      cause: error,
      headers: { 'retry-after': String(resetSec) },
      detail: { limit: 'unmatched requests by address' },
    });
  };
}
