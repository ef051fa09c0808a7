import { gatewayKeys, type RemoteGatewayKeys } from '@countersign/identity';
import type { Registry } from 'prom-client';
import type { Logger } from '../process/logger.ts';
import { registerScraped } from '../process/scraped-metric.ts';

/**
 * Fetches the gateway's published keys, and reports their state in the log and metrics. Known keys stay usable for an
 * hour while fetches fail, so that operators can act before requests are refused.
 */
export function followGatewayKeys(
  { url, insecureTransport }: Readonly<{ url: string; insecureTransport: boolean }>,
  { logger, metrics }: Readonly<{ logger: Logger; metrics: Registry }>,
): RemoteGatewayKeys {
  const keys = gatewayKeys({
    url,
    insecureTransport,
    onEvent(event) {
      const { type: _type, ...fields } = event;
      switch (event.type) {
        case 'fetched':
          if (event.changed) logger.info(fields, "fetched the gateway's keys");
          return;
        case 'failed':
          // Retries back off to one a minute. If no keys are usable, `onStateChange` logs this once.
          if (keys.ready) logger.warn({ ...fields, url }, "cannot fetch the gateway's keys");
          return;
        case 'key_ignored':
          logger.warn(fields, 'ignored a gateway key');
      }
    },
    onStateChange(state, why) {
      if (state === 'available') logger.info({ url }, "the gateway's keys are available again: requests are accepted");
      else logger.warn(why, "cannot fetch the gateway's keys: requests are refused with 503");
    },
  });
  const metric = (name: string, help: string, read: () => number | undefined) =>
    registerScraped({ name: `gateway_keys_${name}`, help, rows: () => [[[], read()]] }, metrics);
  metric('age_seconds', "Seconds since the gateway's key set was last confirmed.", () => {
    const { ageMs } = keys.stats;
    return ageMs === undefined ? undefined : ageMs / 1000;
  });
  metric('held', 'Number of usable gateway keys.', () => keys.stats.keys);
  metric('fetches_total', "Attempts to fetch the gateway's key set.", () => keys.stats.fetches);
  metric('fetch_failures_total', "Failed attempts to fetch the gateway's key set.", () => keys.stats.failures);
  return keys;
}
