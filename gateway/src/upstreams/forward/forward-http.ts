import type { ServerResponse } from 'node:http';
import type { ExchangeProgress } from '@countersign/http1-client';
import { type AppError, type Code, errorTable } from '../../errors.ts';
import type { Signed, SignedOutbound } from '../../exchange.ts';
import type { Outcome, Permit } from '../pool/breaker.ts';
import type { OpenUpstream, OpenUpstreams } from '../pool/open-upstream.ts';
import { mayRetry } from '../pool/retry.ts';
import { isOutage, type Target } from '../pool/target.ts';
import { Attempt, type AttemptOptions, type AttemptOwner } from './attempt.ts';

export type ForwardHttpOptions = AttemptOptions & Readonly<{ upstreams: OpenUpstreams }>;

/**
 * Signs a request again, after checking its token again.
 *
 * @param refused An attempt whose nonce and time the new one keeps, so that the service accepts one of the two.
 */
export type SignAgain = (signed: Signed, refused?: SignedOutbound) => SignedOutbound;

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
  return (signed, response, signAgain) =>
    new Promise((resolve, reject) => {
      new Forwarding(options, signed, response, signAgain, resolve, reject).start();
    });
}

/** Whether an error counts against the service, and not against a client or the gateway. */
const blamesUpstream = (code: Code): boolean =>
  errorTable[code].fault === 'upstream' || errorTable[code].fault === 'configuration';

/** One request with all its attempts, of which one runs at a time. */
class Forwarding implements AttemptOwner {
  readonly #options: ForwardHttpOptions;
  readonly #signed: Signed;
  readonly #response: ServerResponse;
  readonly #signAgain: SignAgain;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #upstream: OpenUpstream;
  readonly #permit: Permit;
  #attempts = 0;
  #isSettled = false;
  /** Of the current attempt. */
  #outbound: SignedOutbound;
  /** Sent again with another key. That is not a retry: the service has handled nothing. */
  #isRepeated = false;

  /** @throws AppError `upstream_circuit_open`. */
  constructor(
    options: ForwardHttpOptions,
    signed: Signed,
    response: ServerResponse,
    signAgain: SignAgain,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#signed = signed;
    this.#outbound = signed.outbound;
    this.#response = response;
    this.#signAgain = signAgain;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#upstream = options.upstreams.of(signed.route.upstream);
    this.#permit = this.#upstream.admit();
  }

  start(): void {
    this.#upstream.budget.deposit();
    try {
      this.#attempt(this.#upstream.choose());
    } catch (refusal) {
      this.#fail(refusal, 'neutral');
    }
  }

  #attempt(target: Target): void {
    const { record } = this.#signed;
    this.#attempts += 1;
    record.attempts = this.#attempts;
    record.target = target.origin;
    new Attempt(this.#options, this, this.#signed, this.#outbound, this.#response, target).start();
  }

  responded(target: Target): void {
    target.responded();
    this.#settle('success');
  }

  done(failure: AppError | undefined, target: Target): void {
    if (failure !== undefined && blamesUpstream(failure.code)) target.responseBroke(failure.code);
    else target.succeeded();
    this.#resolve();
  }

  failed(error: AppError, progress: ExchangeProgress, target: Target): void {
    const { code } = error;
    if (!this.#isRepeated && this.#upstream.agreement?.shouldRepeat(error, this.#outbound.headers) === true) {
      this.#isRepeated = true;
      this.#sendAgain(target, code, this.#outbound);
      return;
    }
    if (blamesUpstream(code)) {
      if (progress === 'responded') target.responseBroke(code);
      else target.failed(code);
    }
    // The refusal of a repeated request may not have come from the service, which may still receive that attempt.
    const refused = this.#isRepeated && progress === 'unsent' ? this.#outbound : undefined;
    if (this.#takeRetry(code, progress)) this.#sendAgain(target, code, refused);
    else this.#fail(error, progress !== 'responded' && isOutage(code) ? 'failure' : 'neutral');
  }

  #sendAgain(failed: Target, code: Code, refused: SignedOutbound | undefined): void {
    this.#signed.record.retriedAfter = code;
    try {
      this.#outbound = this.#signAgain(this.#signed, refused);
      this.#attempt(this.#upstream.choose(failed));
    } catch (refusal) {
      this.#fail(refusal, 'neutral');
    }
  }

  #takeRetry(code: Code, progress: ExchangeProgress): boolean {
    const { outbound, route } = this.#signed;
    const { budget, stats, targets } = this.#upstream;
    const attempts = this.#isRepeated ? this.#attempts - 1 : this.#attempts;
    if (attempts > route.upstream.retry.attempts || this.#response.destroyed) return false;
    if (!mayRetry(outbound, { code, progress }, targets.length > 1)) return false;
    if (budget.withdraw()) {
      stats.retries += 1;
      return true;
    }
    stats.retriesRefused += 1;
    return false;
  }

  #fail(error: unknown, outcome: Outcome): void {
    this.#settle(outcome);
    this.#reject(error);
  }

  #settle(outcome: Outcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#upstream.settle(this.#permit, outcome);
  }
}
