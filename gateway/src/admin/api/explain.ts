import type { Answer } from '@countersign/admin-api';
import { explain } from '../../explain/answer.ts';
import type { ExplainQuestion } from '../../explain/question.ts';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import { upstreamStates } from '../observe/upstream-states.ts';
import type { ConsoleSources } from './sources.ts';

/** Explains a request using the running configuration, keys and revocations. */
export function explainNow(
  asked: ExplainQuestion,
  { current, nowMs }: Pick<ConsoleSources, 'current' | 'nowMs'>,
): Promise<Answer> {
  const { config, trust, upstreams } = current();
  return explain(asked, {
    config,
    nowMs: nowMs(),
    openIssuer({ issuer }) {
      const trusted = trust.issuers.get(issuer);
      if (trusted === undefined) throw new Error(`${issuer} is not trusted`);
      // `close` does nothing, because the keys belong to the running gateway.
      return { trusted, why: () => trusted.keys.stats.failure?.reason ?? 'no answer', close() {} };
    },
    warningOf: (upstream) => warningOf(upstreams.of(upstream)),
  });
}

/** Returns a warning if the upstream would probably fail the request now. */
function warningOf(opened: OpenUpstream): string | undefined {
  const { name } = opened.upstream;
  const { state, why } = upstreamStates(opened).upstream;
  if (state !== 'out' && state !== 'failing') return undefined;
  if (opened.breaker?.state(opened.nowMs()) === 'open') {
    return `The circuit breaker for upstream ${name} is open, so the request would get 503 upstream_circuit_open now.`;
  }
  if (state === 'failing') return `The last requests to upstream ${name} failed, so this one may fail too: ${why}.`;
  return opened.targets.every((target) => target.isFull())
    ? `Every target of upstream ${name} is full, so the request would get 503 upstream_overloaded now.`
    : `No target of upstream ${name} is healthy, so the request would probably fail now. The last error: ${why}.`;
}
