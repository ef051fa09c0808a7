import { isInstalled } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { postgresPrograms } from '../../stacks/own-postgres.ts';
import { processFaults } from './cases/processes.ts';
import { storeFaults } from './cases/stores.ts';
import { measure } from './measure.ts';
import { type FaultStack, startFaultStack } from './stack.ts';

const canRun = postgresPrograms() !== undefined && isInstalled('redis-server');
const all = [...storeFaults, ...processFaults];

// The short form of `npm run faults`.
(canRun ? describe : describe.skip)('the whole stack under load', () => {
  let stack: FaultStack;
  beforeAll(async () => {
    stack = await startFaultStack({ responseMs: 3_000, form: 'short' });
  });
  afterAll(() => stack.stop());

  test.each<[name: string, result: RegExp]>([
    ['Redis killed', /^503 identity_unavailable$/],
    ['PostgreSQL hung', /^503 unavailable$/],
    ['complaint-service hung', /^504 upstream_timeout$/],
    ['a gateway worker killed', /^ECONNRESET$/],
    ['the gateway primary killed', /^ECONNREFUSED$/],
  ])('no promise is broken with %s', async (name, result) => {
    const fault = all.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`no fault is called ${name}`);
    const { broken, kinds, acknowledged } = await measure(stack, fault, 40);
    expect(broken).toEqual([]);
    expect(acknowledged).toBeGreaterThan(20);
    expect([...kinds.keys()]).toContainEqual(expect.stringMatching(result));
  });
});
