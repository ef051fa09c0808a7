import type { ServerResponse } from 'node:http';
import { type AppError, type Code, errorTable } from '../../errors.ts';
import type { Signed } from '../../exchange.ts';
import type { Outcome } from '../pool/breaker.ts';
import type { OpenConnections } from '../pool/open-connections.ts';
import type { Upstreams } from '../pool/open-upstream.ts';
import { isOutage, type Target } from '../pool/target.ts';
import { Relay } from './relay.ts';
import { mayRetry, type Progress } from './retry-rule.ts';

export type ForwardHttpOptions = Readonly<{
  upstreams: Upstreams;
  open: OpenConnections;
  /** While it is true, each answer ends its connection. */
  isDraining(): boolean;
}>;

/** Whether it says something about the service, rather than about a client or about us. */
const isUpstreams = (code: Code): boolean =>
  errorTable[code].fault === 'upstream' || errorTable[code].fault === 'configuration';

/** Signs what was signed once more, for another attempt. It looks again at whether it still may. */
export type SignAgain = (signed: Signed) => Signed;

/**
 * Carries a signed request to its service and the answer back, both as streams. Takes nothing but a `Signed`, and adds
 * nothing to it. Redirects and errors of the service are the client's to see.
 *
 * The stage throws AppError `upstream_unreachable`, `upstream_untrusted`, `upstream_timeout`, `upstream_broken`,
 * `upstream_invalid_response`, `upstream_circuit_open`, `upstream_overloaded`, `identity_refused`, `identity_unavailable`,
 * and what `signAgain` throws, while nothing was answered. After that the client's connection is broken off: half an answer must not look whole.
 */
export function createForwardHttp(
  options: ForwardHttpOptions,
): (signed: Signed, response: ServerResponse, signAgain: SignAgain) => Promise<void> {
  return (first, response, signAgain) =>
    new Promise((resolve, reject) => {
      const upstream = options.upstreams.of(first.route.upstream);
      const permit = upstream.admit();
      upstream.budget.deposit();
      const { record } = first;
      let attempts = 0;
      let isSettled = false;

      function settle(outcome: Outcome): void {
        if (isSettled) return;
        isSettled = true;
        upstream.settle(permit, outcome);
      }

      function give(error: unknown, outcome: Outcome): void {
        settle(outcome);
        reject(error);
      }

      function attempt(signed: Signed, target: Target): void {
        attempts += 1;
        record.attempts = attempts;
        record.target = target.origin;
        const relay = new Relay({
          ...options,
          signed,
          response,
          target,
          answered() {
            target.succeeded();
            settle('success');
          },
          failed: (error, progress) => afterFailure(signed, target, error, progress),
          done(failure) {
            if (failure !== undefined && isUpstreams(failure.code)) target.broke(failure.code);
            resolve();
          },
        });
        relay.send();
      }

      function afterFailure(signed: Signed, target: Target, error: AppError, progress: Progress): void {
        const { code } = error;
        if (isUpstreams(code)) {
          if (progress === 'answered') target.broke(code);
          else target.failed(code);
        }
        if (!retries(signed, { code, progress })) {
          give(error, progress !== 'answered' && isOutage(code) ? 'failure' : 'neutral');
          return;
        }
        record.retriedAfter = code;
        // Not within undici's own call: it is about to tidy up the connection that failed.
        setImmediate(() => {
          try {
            attempt(signAgain(signed), upstream.choose(target));
          } catch (refusal) {
            give(refusal, 'neutral');
          }
        });
      }

      function retries(signed: Signed, failure: Readonly<{ code: Code; progress: Progress }>): boolean {
        if (attempts > first.route.upstream.retry.attempts || response.destroyed) return false;
        if (!mayRetry(signed.outbound, failure, upstream.targets.length > 1)) return false;
        if (upstream.budget.withdraw()) {
          upstream.stats.retries += 1;
          return true;
        }
        upstream.stats.retriesRefused += 1;
        return false;
      }

      try {
        attempt(first, upstream.choose());
      } catch (refusal) {
        give(refusal, 'neutral');
      }
    });
}
