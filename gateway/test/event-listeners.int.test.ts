import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { audience, backchannelPath, type EventWorld, eventSecret, eventWorld } from './event-gateway.ts';

describe('a flood of forged tokens', () => {
  let world: EventWorld;
  beforeAll(async () => {
    world = await eventWorld();
  });
  afterAll(() => world.close());

  test('is limited by address, and neither locks out the transmitter nor counts valid tokens', async () => {
    const gateway = await world.start();
    const statuses = new Map<number, number>();
    const post = async (token: string) => {
      const { status } = await gateway.logOut(token);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    };
    for (let round = 0; round < 31; round += 1) await Promise.all(Array.from({ length: 20 }, () => post('a.b.c')));
    expect(statuses.get(400)).toBeGreaterThanOrEqual(600);
    expect(statuses.get(429)).toBeGreaterThan(0);
    expect((await gateway.push(await world.signal())).status).toBe(202);
  });
});

describe('the decision listener', () => {
  let world: EventWorld;
  beforeAll(async () => {
    world = await eventWorld();
  });
  afterAll(() => world.close());

  test('receives no events, because its callers vouch for other requests', async () => {
    const [before = ''] = world
      .yaml({ events: `{ audience: ${audience}, backchannelLogout: true }` })
      .replace('internal: "127.0.0.1:0"', 'internal: "127.0.0.1:0", decision: "127.0.0.1:0"')
      .split('routes:');
    const text = `${before}decision: { proxy: nginx, secret: "\${SSF_SECRET}" }
routes: [{ name: things, path: "/things/**", methods: [GET], upstream: things, auth: required }]`;
    const gateway = await world.start({ text });
    const token = await world.token();
    const form = { 'content-type': 'application/x-www-form-urlencoded', 'x-countersign-proxy-secret': eventSecret };
    const logout = `logout_token=${await world.logoutToken()}`;
    const { decision: port = 0 } = gateway.running.ports;
    expect((await gateway.post(backchannelPath, form, logout, port)).status).toBe(404);
    expect(await gateway.ask(token)).toEqual([200, undefined]);
    expect((await gateway.post(backchannelPath, form, logout)).status).toBe(200);
    expect(await gateway.ask(token)).toEqual([401, 'token_revoked']);
  });
});

describe('the event listener', () => {
  let world: EventWorld;
  beforeAll(async () => {
    world = await eventWorld();
  });
  afterAll(() => world.close());

  test('receives events instead of the public listener, and serves nothing else', async () => {
    const own = world.yaml().replace('internal: "127.0.0.1:0"', 'internal: "127.0.0.1:0", events: "127.0.0.1:0"');
    const gateway = await world.start({ text: own });
    const { events = 0 } = gateway.running.ports;
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const token = await world.token();
    const logout = `logout_token=${await world.logoutToken()}`;
    expect((await gateway.post(backchannelPath, form, logout)).status).toBe(404);
    expect(await gateway.ask(token)).toEqual([200, undefined]);
    expect((await gateway.post(backchannelPath, form, logout, events)).status).toBe(200);
    expect(await gateway.ask(token)).toEqual([401, 'token_revoked']);
    const before = world.upstream.requests.length;
    const answer = await fetch(`http://127.0.0.1:${events}/things/1`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect([answer.status, world.upstream.requests.length]).toEqual([404, before]);
  });
});
