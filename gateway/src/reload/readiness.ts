import type { HealthCheck } from '@countersign/process-kit';
import type { TrustedIssuer } from '../tokens/verified-tokens.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * How long to wait for issuers. An issuer may respond only after this gateway is ready: a Kubernetes Service has no
 * address for a Pod that is not ready, and the auth-service needs the gateway's keys to become ready.
 */
const waitForIssuersMs = 10_000;

/**
 * The gateway is ready once it can sign. After startup it waits up to ten seconds for the keys and revocations of
 * every issuer. Then it is ready even without them, and tokens from such an issuer get 503.
 */
export function readinessChecks(
  current: () => Pick<Snapshot, 'gatewayKeys' | 'trust'>,
  nowSec: () => number,
): Readonly<Record<string, HealthCheck>> {
  const waitsUntilMs = performance.now() + waitForIssuersMs;
  const missing = (what: string, isMissing: (issuer: TrustedIssuer) => boolean) => {
    const names = [...current().trust.issuers.values()].filter(isMissing).map(({ config }) => config.issuer);
    if (names.length === 0) return undefined;
    const reason = `no ${what} of ${names.join(', ')} yet`;
    return performance.now() < waitsUntilMs ? reason : { usableWithout: `${reason}: tokens get 503` };
  };
  return {
    signing_key() {
      current().gatewayKeys.signingKey(nowSec());
      return undefined;
    },
    issuer_keys: () => missing('keys', ({ keys }) => !keys.ready),
    revocations: () => missing('revocations', ({ revocations }) => revocations?.ready === false),
  };
}
