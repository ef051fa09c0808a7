import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Running } from '@countersign/process-kit';
import { expect, test } from '@jest/globals';
import supertest from 'supertest';
import { eventually } from '../eventually.ts';
import { freePorts } from '../free-ports.ts';

export type StartSubject = Readonly<{
  /** The service's name. Its startup errors begin with it. */
  name: string;
  portVariable: string;
  /** A directory for the service's data. */
  home: string;
  /** Starts the service on any port, with a gateway that publishes keys. These variables override the usual ones. */
  run(more?: Record<string, string | undefined>): Promise<Running & Readonly<{ port: number }>>;
  /** A path that a signed-in user can GET through the gateway. */
  signed(): Readonly<{ target: string; headers: Record<string, string> }>;
}>;

/** Tests how a service starts. Every service must pass. */
export function describeStart({ name, portVariable, home, run, signed }: StartSubject): void {
  test('listens before the gateway runs, and is ready once it has the gateway’s keys', async () => {
    const [port = 0] = await freePorts(1);
    const service = await run({ GATEWAY_KEYS_URL: `http://127.0.0.1:${port}/jwks.json` });
    const client = supertest(`http://127.0.0.1:${service.port}`);
    const { body } = await client.get('/readyz').expect(503);
    expect(body.checks).toMatchObject({ database: 'ok', gateway_keys: expect.stringContaining('not loaded') });
    const { target, headers } = signed();
    await client.get(target).set(headers).expect(503);
    await service.stop();

    const ready = await run();
    await eventually(() => supertest(`http://127.0.0.1:${ready.port}`).get('/readyz').expect(200));
    await ready.stop();
  });

  test('reports a port in use in one sentence, and releases its data directory', async () => {
    const first = await run();
    const busy = { [portVariable]: String(first.port), COUNTERSIGN_HOME: mkdtempSync(join(home, 'busy-')) };
    await expect(run(busy)).rejects.toThrow(new RegExp(`^${name}: 127\\.0\\.0\\.1:\\d+ is already in use$`));
    const again = await run({ ...busy, [portVariable]: '0' });
    await again.stop();
    await first.stop();
  });
}
