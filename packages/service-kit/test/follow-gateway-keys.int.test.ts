import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMetrics } from '@countersign/process-kit';
import { capturingLogger, eventually } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { followGatewayKeys } from '../src/gateway/trust-gateway.ts';

test("metrics and log show the age and number of the gateway's keys, and failed fetches", async () => {
  const jwk = { ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'EdDSA' };
  let keys: unknown[] = [];
  const server = createServer((_req, res) => res.end(JSON.stringify({ keys }))).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const [log, metrics] = [capturingLogger(), createMetrics()];
  const url = `http://127.0.0.1:${port}/`;
  const followed = followGatewayKeys({ url, insecureTransport: false }, { logger: log.logger, metrics });
  const shown = async (name: string) => (await metrics.getSingleMetricAsString(`gateway_keys_${name}`)).split('\n')[2];
  try {
    expect(await shown('held')).toBe('gateway_keys_held 0');
    expect(await shown('age_seconds')).toBeUndefined();
    void followed.start();
    await eventually(() =>
      expect(log.lines()).toContainEqual(expect.objectContaining({ level: 40, reason: 'empty', url })),
    );
    keys = [jwk, { kty: 'oct', kid: 'k2', k: 'c2VjcmV0' }];
    await eventually(() => expect(followed.ready).toBe(true));
    // One line when the outage starts and one when it ends, regardless of retries.
    expect(log.lines().filter(({ reason }) => reason === 'empty')).toHaveLength(1);
    expect(log.lines().filter(({ msg }) => String(msg).includes('available again'))).toHaveLength(1);
    expect(log.lines()).toContainEqual(expect.objectContaining({ level: 40, kid: 'k2', reason: 'symmetric' }));
    expect(log.text()).not.toContain('c2VjcmV0');
    expect(await shown('held')).toBe('gateway_keys_held 1');
    expect(await shown('age_seconds')).toMatch(/^gateway_keys_age_seconds [0-9.]+$/);
    const { fetches, failures } = followed.stats;
    expect(failures).toBeGreaterThan(0);
    expect(await shown('fetches_total')).toBe(`gateway_keys_fetches_total ${fetches}`);
    expect(await shown('fetch_failures_total')).toBe(`gateway_keys_fetch_failures_total ${failures}`);
  } finally {
    followed.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
