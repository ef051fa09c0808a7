import type { ServerResponse } from 'node:http';
import type { Code } from '../../errors.ts';
import type { Signed, SignedOutbound } from '../../pipeline/exchange.ts';
import type { OpenUpstream, OpenUpstreams } from '../pool/open-upstream.ts';
import type { Target } from '../pool/target.ts';
import { isOutage } from '../pool/upstream-error.ts';
import { Attempt, type AttemptOptions } from './attempt.ts';

export type ForwardHttpOptions = AttemptOptions &
  Readonly<{
    upstreams: OpenUpstreams;
    /** Counts a streamed body against the limit of its client's address. Throws if the limit is reached. */
    admitUpload(signed: Signed): void;
    /** Signs a request again, after checking its token again. @see createSign */
    signAgain(signed: Signed, refused?: SignedOutbound): SignedOutbound;
  }>;

/**
 * Streams a signed request to its service, and streams the response back. Takes only a `Signed`, and adds nothing to
 * it. The service's redirects and errors go to the client.
 *
 * Before a response has started, the stage throws AppError `upstream_unreachable`, `upstream_untrusted`,
 * `upstream_timeout`, `upstream_broken`, `upstream_invalid_response`, `upstream_circuit_open`, `upstream_overloaded`,
 * `identity_refused` or `identity_unavailable`. It also throws the errors of `admitUpload` and `signAgain`. After the
 * response has started, it closes the client's connection, so that a truncated response never looks complete.
 */
export const createForwardHttp =
  (options: ForwardHttpOptions) =>
  async (signed: Signed, response: ServerResponse): Promise<void> => {
    const { record, route } = signed;
    if (signed.outbound.body === 'stream') options.admitUpload(signed);
    const upstream = options.upstreams.of(route.upstream);
    const permit = upstream.admit();
    upstream.budget.deposit();
    let { outbound } = signed;
    let target: Target | undefined;
    let responseMs = upstream.upstream.timeouts.responseMs;
    // Sent again with another key. This is not a retry, because the service has not handled the request.
    let isRepeated = false;
    try {
      for (let attempts = 1; ; attempts += 1) {
        target = upstream.choose(target);
        record.attempts = attempts;
        record.target = target.origin;
        const attempt = new Attempt({ options, signed, outbound, response, target, permit, responseMs });
        const error = await attempt.relay();
        if (error === undefined) return;
        const isRefused: boolean = !isRepeated && upstream.agreement?.shouldRepeat(error, outbound.headers) === true;
        const retries = isRepeated ? attempts - 2 : attempts - 1;
        if (!isRefused && !takeRetry(upstream, attempt, error.code, retries)) throw error;
        // The refusal of a repeated request may not come from the service, which may still receive that attempt.
        const keepsNonce = isRefused || (isRepeated && attempt.progress === 'unsent');
        isRepeated ||= isRefused;
        record.retriedAfter = error.code;
        responseMs = Math.max(1, attempt.leftMs());
        outbound = options.signAgain(signed, keepsNonce ? outbound : undefined);
      }
    } finally {
      permit.settle('neutral');
    }
  };

/**
 * Counts a failed attempt.
 *
 * @returns Whether the request may be sent again. If so, the retry is taken from the budget.
 */
function takeRetry(upstream: OpenUpstream, attempt: Attempt, code: Code, retries: number): boolean {
  const { progress, sending } = attempt;
  const { target, outbound, response, permit } = sending;
  const hasResponded = progress === 'responded';
  target.failed(code, progress);
  const isOpen = retries < upstream.upstream.retry.attempts && attempt.leftMs() > 0 && !response.destroyed;
  if (isOpen && upstream.takeRetry(outbound, { code, progress })) return true;
  if (!hasResponded && isOutage(code)) permit.settle('failure');
  return false;
}
