import { freePorts } from '@countersign/testing';
import { type Result, runConformance } from '../src/index.ts';
import { type EchoOptions, startEchoService } from './echo-service.ts';
import { faults } from './faults.ts';

const audience = 'orders';

/** Runs the test against a service with our verifier, or with one that has a fault. */
export async function resultsOf(echo?: EchoOptions): Promise<readonly Result[]> {
  const [port = 0] = await freePorts(1);
  const service = await startEchoService(`http://127.0.0.1:${port}/.well-known/jwks.json`, audience, echo);
  try {
    return await runConformance({ url: service.url, audience, keys: { host: '127.0.0.1', port }, nowMs: Date.now });
  } finally {
    service.stop();
  }
}

/** The faults that the test finds in a service with this planted fault. */
export async function faultsIn(name: string, { isOld = true } = {}): Promise<readonly Result[]> {
  const fault = faults.find(([known]) => known === name);
  if (fault === undefined) throw new Error(`no fault is called ${name}`);
  return (await resultsOf({ fault, isOld })).filter(({ judgement }) => judgement.kind === 'fault');
}
