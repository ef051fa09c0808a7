import type { Registry } from '@countersign/service-kit';
import { Counter } from 'prom-client';
import type { OpenUpstream } from '../upstreams/pool/open-upstream.ts';

/** Registers the counts of signatures. They are read when metrics are scraped, so they cost requests nothing. */
export function registerSignatureMetrics(current: () => Iterable<OpenUpstream>, registry: Registry): void {
  const registers = [registry];
  new Counter({
    name: 'countersign_signatures_total',
    help: 'Signed requests, including retries, by kind of key: `ed25519`, `hmac-sha256` (a secret) or `agreed`.',
    labelNames: ['upstream', 'algorithm'],
    registers,
    collect() {
      this.reset();
      for (const { upstream, signatures } of current()) {
        for (const [algorithm, count] of Object.entries(signatures.algorithms)) {
          if (count > 0) this.inc({ upstream: upstream.name, algorithm }, count);
        }
      }
    },
  });
  new Counter({
    name: 'countersign_agreed_fallbacks_total',
    help: 'Requests to upstreams with `algorithm: agreed` that were signed with ed25519, by reason.',
    labelNames: ['upstream', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const { upstream, signatures, agreement } of current()) {
        if (agreement === undefined) continue;
        for (const [reason, count] of Object.entries(signatures.fallbacks)) {
          this.inc({ upstream: upstream.name, reason }, count);
        }
      }
    },
  });
}
