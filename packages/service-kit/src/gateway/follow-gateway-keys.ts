import { gatewayKeys, type RemoteGatewayKeys } from '@countersign/identity';
import { Gauge, type Registry } from 'prom-client';
import type { Logger } from '../process/logger.ts';

/**
 * The gateway's published keys, with what becomes of them in the log and the metrics: while they cannot be fetched known ones go on for
 * an hour, and an operator has to hear of it before they end.
 */
export function followGatewayKeys(
  url: string,
  { logger, metrics }: Readonly<{ logger: Logger; metrics: Registry }>,
): RemoteGatewayKeys {
  const keys = gatewayKeys({
    url,
    onEvent(event) {
      const { type: _type, ...facts } = event;
      switch (event.type) {
        case 'fetched':
          if (event.changed) logger.info(facts, "the gateway's keys were fetched");
          return;
        case 'failed':
          // Tried again less and less often, once a minute at last. Without keys it is an outage, which is told once, below.
          if (keys.ready) logger.warn({ ...facts, url }, "the gateway's keys cannot be fetched");
          return;
        case 'key_ignored':
          logger.warn(facts, 'a key of the gateway was ignored');
      }
    },
    onStateChange(state, why) {
      if (state === 'available') logger.info({ url }, "the gateway's keys are there again: requests are accepted");
      else logger.warn(why, "the gateway's keys cannot be fetched: requests are refused with 503");
    },
  });
  const gauge = (name: string, help: string, read: () => number | undefined) =>
    new Gauge({
      name: `gateway_keys_${name}`,
      help,
      registers: [metrics],
      collect() {
        const value = read();
        // No value, rather than a false one, while there never was a set.
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  gauge('age_seconds', "Since the gateway's key set was last confirmed.", () => {
    const { ageMs } = keys.stats;
    return ageMs === undefined ? undefined : ageMs / 1000;
  });
  gauge('held', 'Usable keys of the gateway that are held.', () => keys.stats.keys);
  gauge('fetches', "Attempts to fetch the gateway's key set so far.", () => keys.stats.fetches);
  gauge('fetch_failures', 'Attempts that failed so far.', () => keys.stats.failures);
  return keys;
}
