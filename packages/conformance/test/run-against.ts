import { eventually, freePorts } from '@countersign/testing';
import { expect } from '@jest/globals';
import { type Report, type Result, runConformance } from '../src/index.ts';
import { type EchoOptions, startEchoService } from './echo-service.ts';
import { faults } from './faults.ts';

const audience = 'orders';

/**
 * Runs the test against a service with our verifier, or with one that has a fault.
 *
 * @param isLate Whether the service starts after the test, which can then tell what it did before.
 */
export async function reportOn(echo: EchoOptions = {}, isLate = false): Promise<Report> {
  const [keysPort = 0, port = 0] = await freePorts(2);
  const keysUrl = `http://127.0.0.1:${keysPort}/.well-known/jwks.json`;
  const start = () => startEchoService(keysUrl, audience, { port, ...echo });
  const url = new URL(`http://127.0.0.1:${port}`);
  let service = isLate ? undefined : await start();
  const running = runConformance({ url, audience, keys: { host: '127.0.0.1', port: keysPort }, nowMs: Date.now });
  try {
    if (isLate) {
      // The first request is refused before the service starts.
      await eventually(async () => expect((await fetch(new URL('/', keysUrl))).status).toBe(200));
      service = await start();
    }
    return await running;
  } finally {
    service?.stop();
  }
}

/** The faults that the test finds in a service with this planted fault. */
export async function faultsIn(name: string, options: EchoOptions = {}, isLate = false): Promise<readonly Result[]> {
  const fault = faults.find(([known]) => known === name);
  if (fault === undefined) throw new Error(`no fault is called ${name}`);
  const { results } = await reportOn({ fault, ...options }, isLate);
  return results.filter(({ judgement }) => judgement.kind === 'fault');
}
