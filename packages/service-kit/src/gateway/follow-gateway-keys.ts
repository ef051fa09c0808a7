import { gatewayKeys, type RemoteGatewayKeys } from '@countersign/identity';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Logger } from '../process/logger.ts';

/**
 * Fetches the gateway's published keys and reports their state in the log and the metrics. Known keys stay usable for
 * an hour while fetches fail, so operators can act before requests are refused.
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
          // Retries back off to one a minute. Without usable keys, `onStateChange` logs the outage once.
          if (keys.ready) logger.warn({ ...fields, url }, "cannot fetch the gateway's keys");
          return;
        case 'key_ignored':
          logger.warn(fields, 'ignored a key of the gateway');
      }
    },
    onStateChange(state, why) {
      if (state === 'available') logger.info({ url }, "the gateway's keys are available again: requests are accepted");
      else logger.warn(why, "cannot fetch the gateway's keys: requests are refused with 503");
    },
  });
  const gauge = (name: string, help: string, read: () => number | undefined) =>
    new Gauge({
      name: `gateway_keys_${name}`,
      help,
      registers: [metrics],
      collect() {
        const value = read();
        // Before the first fetch there is no value to report.
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  gauge('age_seconds', "Seconds since the gateway's key set was last confirmed.", () => {
    const { ageMs } = keys.stats;
    return ageMs === undefined ? undefined : ageMs / 1000;
  });
  gauge('held', 'Usable gateway keys held.', () => keys.stats.keys);
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name: `gateway_keys_${name}_total`,
      help,
      registers: [metrics],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  counter('fetches', "Attempts to fetch the gateway's key set.", () => keys.stats.fetches);
  counter('fetch_failures', 'Attempts that failed.', () => keys.stats.failures);
  return keys;
}
