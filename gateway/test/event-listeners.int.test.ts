import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mintIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  audience,
  backchannelPath,
  type EventWorld,
  eventSecret,
  eventsPath,
  eventWorld,
  previousSecret,
} from './event-gateway.ts';

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

describe('two issuers with the same names for users and sessions', () => {
  let world: EventWorld;
  beforeAll(async () => {
    world = await eventWorld();
  });
  afterAll(() => world.close());

  test('one never ends a token of the other, at either path', async () => {
    const other = await mintIssuer({ issuer: 'https://other.example.test' });
    writeFileSync(join(world.home, 'other.json'), JSON.stringify(other.jwks));
    const entry = `  - name: other
    issuer: "${other.issuer}"
    audience: complaints-api
    jwks: ${join(world.home, 'other.json')}
    algorithms: [ES256]
    claims: { userId: sub }
    tenants: [t-2]
    roles: [agent]
    events: { audience: ${audience}, backchannelLogout: true, sharedSignals: { secret: "\${SSF_PREVIOUS}" } }`;
    const events = `{ audience: ${audience}, backchannelLogout: true, sharedSignals: { secret: "\${SSF_SECRET}" } }`;
    const gateway = await world.start({
      text: world
        .yaml({ events, issuer: '    tenants: [t-1]\n    roles: [agent]' })
        .replace('\nidentity:', `\n${entry}\nidentity:`),
    });
    const mine = await world.token();
    const claims = { user_id: undefined, sub: 'u-1', tenant_id: 't-2', sid: 's-1' };
    const theirs = await other.accessToken(claims);
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const secevent = 'application/secevent+jwt';
    const toOther = (path: string) => path.replace(/sso$/, 'other');
    const asOther = async (payload: Promise<string>, typ: string, changes: object = {}) =>
      other.sign(
        { ...JSON.parse(Buffer.from((await payload).split('.')[1] ?? '', 'base64url').toString()), ...changes },
        { typ },
      );

    // Its own key never signs for the first issuer, and its own tokens are refused at the path of the first.
    for (const changes of [{}, { iss: other.issuer }]) {
      const logout = `logout_token=${await asOther(world.logoutToken(), 'logout+jwt', changes)}`;
      expect((await gateway.post(backchannelPath, form, logout)).status).toBe(400);
      expect((await gateway.push(await asOther(world.signal(), 'secevent+jwt', changes))).status).toBe(400);
    }
    const push = async (token: string, secret: string) => {
      const headers = { 'content-type': secevent, authorization: `Bearer ${secret}` };
      return (await gateway.post(toOther(eventsPath), headers, token)).status;
    };
    // With the secret of the other stream, and with a subject of the first issuer.
    expect(await push(await asOther(world.signal(), 'secevent+jwt', { iss: other.issuer }), eventSecret)).toBe(401);
    expect(await push(await asOther(world.signal(), 'secevent+jwt', { iss: other.issuer }), previousSecret)).toBe(202);
    // A tenant that is not its own.
    const tenant = { sub_id: { format: 'complex', tenant: { format: 'opaque', id: 't-1' } } };
    const aboutTenant = await asOther(world.signal(tenant), 'secevent+jwt', { iss: other.issuer });
    expect(await push(aboutTenant, previousSecret)).toBe(202);
    for (const token of [mine, theirs]) expect(await gateway.ask(token)).toEqual([200, undefined]);
    const logout = `logout_token=${await asOther(world.logoutToken(), 'logout+jwt', { iss: other.issuer })}`;
    expect((await gateway.post(toOther(backchannelPath), form, logout)).status).toBe(200);
    expect(await gateway.ask(theirs)).toEqual([401, 'token_revoked']);
    expect(await gateway.ask(mine)).toEqual([200, undefined]);
  });
});
