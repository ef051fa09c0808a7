import { throwAwayRedis } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { type EventGateway, eventWorld } from './event-gateway.ts';
import { loadOn } from './gateway-process.ts';

const events = 100_000;
const perSecond = 100;

test.each(['one gateway', 'two gateways'])(
  '100,000 events at once at %s fail none of 100 requests a second',
  async (gateways) => {
    const world = await eventWorld();
    const redis = gateways === 'two gateways' ? await throwAwayRedis() : undefined;
    const gateway = await world.start({ journal: 'a', redis: redis?.url });
    // The requests go to the gateway that the events do not go to.
    const serving = redis === undefined ? gateway : await world.start({ journal: 'b', redis: redis.url });
    const exp = Math.floor(Date.now() / 1000) + 3_600;
    const tokenOf = (sub: string) => world.token({ sub, sid: sub, exp });
    const [token, first] = [await tokenOf('unaffected'), await tokenOf('u-0')];
    const load = loadOn(`http://127.0.0.1:${serving.running.ports.public}`, { path: '/things/1', perSecond, token });
    let next = 0;
    let accepted = 0;
    const send = async () => {
      for (let at = next++; at < events; at = next++) {
        const sub_id = { format: 'iss_sub', iss: world.issuer.issuer, sub: `u-${at}` };
        if ((await gateway.push(await world.signal({ sub_id }))).status === 202) accepted += 1;
      }
    };
    const startedMs = performance.now();
    await Promise.all(Array.from({ length: 32 }, send));
    const sec = (performance.now() - startedMs) / 1000;
    await load.stop();
    process.stdout.write(
      `${gateways}: ${accepted} events in ${sec.toFixed(0)} s (${(accepted / sec).toFixed(0)} a second); responses ${JSON.stringify(load.outcomes)}\n`,
    );
    expect(accepted).toBe(events);
    expect(Object.keys(load.outcomes)).toEqual(['200']);
    expect(load.outcomes['200']).toBeGreaterThan(0.95 * perSecond * sec);
    const last = await tokenOf(`u-${events - 1}`);
    const isRefused = async (at: EventGateway, one: string) =>
      expect(await at.ask(one)).toEqual([401, 'token_revoked']);
    for (const one of [first, last]) await isRefused(serving, one);
    await world.close();
    await redis?.kill();
  },
  1_800_000,
);
