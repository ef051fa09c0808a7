import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { eventWorld } from './event-gateway.ts';

const events = 100_000;
const perSec = 100;

test('100,000 events at once fail none of 100 requests a second', async () => {
  const world = await eventWorld();
  const gateway = await world.start();
  const token = await world.token({ sub: 'unaffected', sid: 'unaffected', exp: Math.floor(Date.now() / 1000) + 3_600 });
  const statuses = new Map<number, number>();
  const add = (status: number): void => {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  };
  let isOver = false;
  const serving = (async () => {
    const pending: Promise<void>[] = [];
    while (!isOver) {
      pending.push(gateway.ask(token).then(([status]) => add(status)));
      await delay(1_000 / perSec);
    }
    await Promise.all(pending);
  })();
  let next = 0;
  let accepted = 0;
  const send = async () => {
    for (let at = next++; at < events; at = next++) {
      const sub_id = { format: 'iss_sub', iss: world.issuer.issuer, sub: `u-${at}` };
      if ((await gateway.push(await world.signal({ sub_id }))).status === 202) accepted += 1;
    }
  };
  await Promise.all(Array.from({ length: 32 }, send));
  isOver = true;
  await serving;
  expect(accepted).toBe(events);
  expect([...statuses.keys()]).toEqual([200]);
  expect(await gateway.ask(await world.token({ sub: 'u-99999', sid: 'x' }))).toEqual([401, 'token_revoked']);
  await world.close();
}, 1_800_000);
