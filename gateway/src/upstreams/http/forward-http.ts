import type { ServerResponse } from 'node:http';
import { type AppError, type Code, errorTable } from '../../errors.ts';
import type { Signed } from '../../exchange.ts';
import type { Outcome } from '../pool/breaker.ts';
import type { OpenConnections } from '../pool/open-connections.ts';
import type { Upstreams } from '../pool/open-upstream.ts';
import { mayRetry, type Progress } from '../pool/retry.ts';
import { isOutage, type Target } from '../pool/target.ts';
import { Relay } from './relay.ts';

export type ForwardHttpOptions = Readonly<{
  upstreams: Upstreams;
  open: OpenConnections;
  /** While true, each response closes its connection. */
  isDraining(): boolean;
}>;

/** Whether an error counts against the service, and not against a client or the gateway. */
const blamesUpstream = (code: Code): boolean =>
  errorTable[code].fault === 'upstream' || errorTable[code].fault === 'configuration';

/** Signs a request again for a retry, after checking its token again. */
export type SignAgain = (signed: Signed) => Signed;

/**
 * Streams a signed request to its service and the response back. Takes only a `Signed`, and adds nothing to it.
 * Redirects and errors of the service go to the client.
 *
 * Before a response has started, the stage throws AppError `upstream_unreachable`, `upstream_untrusted`,
 * `upstream_timeout`, `upstream_broken`, `upstream_invalid_response`, `upstream_circuit_open`, `upstream_overloaded`,
 * `identity_refused` or `identity_unavailable`. It also throws what `signAgain` throws. After that it closes the
 * client's connection, so that a truncated response never looks complete.
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

      function fail(error: unknown, outcome: Outcome): void {
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
          responded() {
            target.succeeded();
            settle('success');
          },
          failed: (error, progress) => afterFailure(signed, target, error, progress),
          done(failure) {
            if (failure !== undefined && blamesUpstream(failure.code)) target.responseBroke(failure.code);
            resolve();
          },
        });
        relay.send();
      }

      function afterFailure(signed: Signed, target: Target, error: AppError, progress: Progress): void {
        const { code } = error;
        if (blamesUpstream(code)) {
          if (progress === 'responded') target.responseBroke(code);
          else target.failed(code);
        }
        if (!takeRetry(signed, { code, progress })) {
          fail(error, progress !== 'responded' && isOutage(code) ? 'failure' : 'neutral');
          return;
        }
        record.retriedAfter = code;
        // Outside undici's callback, which is still cleaning up the failed connection.
        setImmediate(() => {
          try {
            attempt(signAgain(signed), upstream.choose(target));
          } catch (refusal) {
            fail(refusal, 'neutral');
          }
        });
      }

      function takeRetry(signed: Signed, failure: Readonly<{ code: Code; progress: Progress }>): boolean {
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
        fail(refusal, 'neutral');
      }
    });
}
