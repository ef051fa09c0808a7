import type { HealthCheck } from '@countersign/service-kit';
import type { Snapshot } from './snapshot.ts';

/** The gateway is ready when it can sign, and knows the keys and revocations of every issuer. */
export function readinessChecks(
  current: () => Pick<Snapshot, 'gatewayKeys' | 'unready'>,
  nowSec: () => number,
): Readonly<Record<string, HealthCheck>> {
  const missing = (what: string, names: readonly string[]) =>
    names.length === 0 ? undefined : `no ${what} of ${names.join(', ')} yet`;
  return {
    signing_key() {
      current().gatewayKeys.signingKey(nowSec());
      return undefined;
    },
    issuer_keys: () => missing('keys', current().unready().keys),
    revocations: () => missing('revocations', current().unready().revocations),
  };
}
