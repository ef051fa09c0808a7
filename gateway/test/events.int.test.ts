import { testClock } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  backchannelPath,
  type EventGateway,
  type EventWorld,
  eventSecret,
  eventsPath,
  eventWorld,
  previousSecret,
} from './event-gateway.ts';

const caep = 'https://schemas.openid.net/secevent/caep/event-type/';

describe('an event from the provider', () => {
  let world: EventWorld;
  let gateway: EventGateway;
  const clock = testClock(Date.now());
  beforeAll(async () => {
    world = await eventWorld(clock.nowMs);
    gateway = await world.start();
  });
  afterAll(() => world.close());

  /** Each test has its own users and sessions. */
  let count = 0;
  const fresh = () => {
    count += 1;
    return { sub: `user-${count}`, sid: `session-${count}` };
  };
  const about = (sub: string, more: object = {}) => ({
    sub_id: { format: 'iss_sub', iss: world.issuer.issuer, sub },
    ...more,
  });

  test('a logout token ends its session and no other', async () => {
    const own = fresh();
    const [ended, other] = [await world.token(own), await world.token({ ...own, sid: 'other' })];
    for (const token of [ended, other]) expect(await gateway.ask(token)).toEqual([200, undefined]);
    const answer = await gateway.logOut(await world.logoutToken(own));
    expect(answer).toMatchObject({ status: 200, body: '', headers: { 'cache-control': 'no-store' } });
    const before = world.upstream.requests.length;
    expect(await gateway.ask(ended)).toEqual([401, 'token_revoked']);
    expect(world.upstream.requests.length).toBe(before);
    expect(await gateway.ask(other)).toEqual([200, undefined]);
  });

  test('an event ends the older tokens of its user, and no token of another user or a later login', async () => {
    const own = fresh();
    const [ended, stranger] = [await world.token(own), await world.token(fresh())];
    const later = await world.token({ ...own, iat: Math.floor(clock.nowMs() / 1000) + 2 });
    const answer = await gateway.push(await world.signal(about(own.sub)));
    expect(answer).toMatchObject({ status: 202, body: '' });
    expect(await gateway.ask(ended)).toEqual([401, 'token_revoked']);
    expect(await gateway.ask(stranger)).toEqual([200, undefined]);
    expect(await gateway.ask(later)).toEqual([200, undefined]);
  });

  test('is accepted with the previous secret, and gets the same response if it is repeated', async () => {
    const own = fresh();
    const signal = await world.signal(about(own.sub));
    expect((await gateway.push(signal, previousSecret)).status).toBe(202);
    expect((await gateway.push(signal)).status).toBe(202);
    const logout = await world.logoutToken(fresh());
    expect((await gateway.logOut(logout)).status).toBe(200);
    expect((await gateway.logOut(logout)).status).toBe(200);
  });

  test('that is late or repeated does not end a newer login', async () => {
    const own = fresh();
    const anHourAgo = Math.floor(clock.nowMs() / 1000) - 3_600;
    const late = await world.signal(
      about(own.sub, { events: { [`${caep}session-revoked`]: { event_timestamp: anHourAgo } } }),
    );
    const [old, newer] = [
      await world.token({ ...own, iat: anHourAgo - 10, exp: anHourAgo + 7_200 }),
      await world.token(own),
    ];
    for (let times = 0; times < 2; times += 1) expect((await gateway.push(late)).status).toBe(202);
    expect(await gateway.ask(old)).toEqual([401, 'token_revoked']);
    expect(await gateway.ask(newer)).toEqual([200, undefined]);
  });

  test('that verifies the stream is acknowledged and counted, ends nothing, and refreshes no staleness', async () => {
    const token = await world.token(fresh());
    const issuers = async () => {
      const answer = (await (await gateway.admin('/api/issuers')).json()) as {
        issuers: readonly [
          { events: { staleness_ms: number | null; counts: readonly { name: string; count: number }[] } },
        ];
      };
      const [{ events }] = answer.issuers;
      return [events.staleness_ms, events.counts.find(({ name }) => name.endsWith(' verification'))?.count];
    };
    const type = 'https://schemas.openid.net/secevent/ssf/event-type/verification';
    // Without a state, the transmitter sent it unasked. With one, someone else asked, because the gateway never does.
    for (const state of [undefined, 'of-another-stream', 'of-another-stream']) {
      const claims = { sub_id: { format: 'opaque', id: 'stream-1' }, events: { [type]: { state } } };
      expect((await gateway.push(await world.signal(claims))).status).toBe(202);
    }
    expect(await issuers()).toEqual([null, 3]);
    expect(await gateway.ask(token)).toEqual([200, undefined]);
  });

  test('of an unknown kind is acknowledged and ends nothing', async () => {
    const own = fresh();
    const token = await world.token(own);
    for (const claims of [
      about(own.sub, { events: { 'https://e.test/x': {} } }),
      { sub_id: { format: 'email', email: 'a@b.test' } },
    ]) {
      expect((await gateway.push(await world.signal(claims))).status).toBe(202);
    }
    expect(await gateway.ask(token)).toEqual([200, undefined]);
  });

  test('about a tenant ends that tenant only, and one about a device ends no tenant', async () => {
    const [a, b] = [
      await world.token({ ...fresh(), tenant_id: 't-9' }),
      await world.token({ ...fresh(), tenant_id: 't-8' }),
    ];
    const opaque = (id: string) => ({ format: 'opaque', id });
    const device = { format: 'complex', tenant: opaque('t-9'), device: opaque('d') };
    expect((await gateway.push(await world.signal({ sub_id: device }))).status).toBe(202);
    expect(await gateway.ask(a)).toEqual([200, undefined]);
    expect(
      (await gateway.push(await world.signal({ sub_id: { format: 'complex', tenant: opaque('t-9') } }))).status,
    ).toBe(202);
    expect(await gateway.ask(a)).toEqual([401, 'token_revoked']);
    expect(await gateway.ask(b)).toEqual([200, undefined]);
  });

  test('about a session ends it in the tenant and of the issuer that the event names, and nowhere else', async () => {
    const { sid } = fresh();
    const token = await world.token({ sid, tenant_id: 't-1' });
    const issued = (sub: string, iss: string = world.issuer.issuer) => ({ format: 'iss_sub', iss, sub });
    const end = async (members: object) => {
      expect((await gateway.push(await world.signal({ sub_id: { format: 'complex', ...members } }))).status).toBe(202);
      return gateway.ask(token);
    };
    for (const members of [
      { session: issued(sid), tenant: issued('t-2') },
      { session: { format: 'opaque', id: sid }, tenant: { format: 'opaque', id: 't-2' } },
      { session: issued(sid, 'https://evil.test') },
      { session: issued(sid), tenant: issued('t-1', 'https://evil.test') },
      { tenant: issued('t-1', 'https://evil.test') },
    ]) {
      expect([members, await end(members)]).toEqual([members, [200, undefined]]);
    }
    const before = world.upstream.requests.length;
    expect(await end({ session: issued(sid), tenant: issued('t-1') })).toEqual([401, 'token_revoked']);
    expect(world.upstream.requests.length).toBe(before);
  });

  test.each([
    ['an access token', () => world.token()],
    ['an event', () => world.signal()],
    ['another audience', () => world.logoutToken({ aud: 'complaints-api' })],
    ['an expired logout token', () => world.logoutToken({ exp: 1 })],
    ['a logout token from another issuer', () => world.logoutToken({ iss: 'https://evil.test' })],
    ['a logout token with a nonce', () => world.logoutToken({ nonce: 'n' })],
    ['garbage', async () => 'a.b.c'],
    ['nothing', async () => ''],
    ['100 KB', async () => 'x'.repeat(100_000)],
  ])('%s instead of a logout token gets the same 400, and ends nothing', async (_name, make) => {
    const token = await world.token(fresh());
    const answer = await gateway.logOut(await make());
    expect([answer.status, answer.headers['cache-control'], JSON.parse(answer.body)]).toEqual([
      400,
      'no-store',
      { error: 'invalid_request', error_description: 'The logout token is invalid.' },
    ]);
    expect(await gateway.ask(token)).toEqual([200, undefined]);
  });

  test.each([
    ['a logout token', () => world.logoutToken(), 'invalid_request'],
    ['an access token', () => world.token(), 'invalid_request'],
    ['for another audience', () => world.signal({ aud: 'x' }), 'invalid_audience'],
    ['from another transmitter', () => world.signal({ iss: 'https://evil.test' }), 'invalid_issuer'],
    ['with an unknown key', () => world.signal({}, { kid: 'k2' }), 'invalid_key'],
    [
      'unsigned',
      async () => `${Buffer.from('{"alg":"none","typ":"secevent+jwt"}').toString('base64url')}.e30.`,
      'invalid_request',
    ],
    ['100 KB', async () => 'x'.repeat(100_000), 'invalid_request'],
  ])('a pushed token that is %s is 400 with the code of RFC 8935', async (_name, make, err) => {
    const answer = await gateway.push(await make());
    expect([answer.status, (JSON.parse(answer.body) as { err: string }).err]).toEqual([400, err]);
  });

  test.each([
    ['another', { authorization: `Bearer ${eventSecret}x` }],
    ['no', {}],
    ['a Basic', { authorization: `Basic ${eventSecret}` }],
  ])('a pushed token with %s secret is 401, and ends nothing', async (_name, headers) => {
    const own = fresh();
    const token = await world.token(own);
    const all = { 'content-type': 'application/secevent+jwt', ...headers };
    const answer = await gateway.post(eventsPath, all, await world.signal(about(own.sub)));
    expect([answer.status, (JSON.parse(answer.body) as { err: string }).err]).toEqual([401, 'authentication_failed']);
    expect(await gateway.ask(token)).toEqual([200, undefined]);
  });

  test.each([
    ['a form with two tokens', backchannelPath, 'application/x-www-form-urlencoded', 'logout_token=a&logout_token=b'],
    ['JSON', backchannelPath, 'application/json', '{}'],
    ['no content type', eventsPath, '', 'a.b.c'],
  ])('%s is 400', async (_name, path, type, body) => {
    const headers = { authorization: `Bearer ${eventSecret}`, ...(type !== '' && { 'content-type': type }) };
    expect((await gateway.post(path, headers, body)).status).toBe(400);
  });

  test("has only its issuer's path, and no other method", async () => {
    expect((await gateway.logOut(await world.logoutToken(), `${backchannelPath}2`)).status).toBe(404);
    expect((await gateway.logOut(await world.logoutToken(), `${backchannelPath}?a`)).status).toBe(404);
    const { public: port } = gateway.running.ports;
    const answer = await fetch(`http://127.0.0.1:${port}${backchannelPath}`);
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('is shown to operators: what came last, how late, and why a token is refused', async () => {
    const own = fresh();
    const token = await world.token(own);
    expect((await gateway.push(await world.signal({ jti: 'shown', ...about(own.sub) }))).status).toBe(202);
    const { issuers } = (await (await gateway.admin('/api/issuers')).json()) as { issuers: readonly unknown[] };
    expect(issuers).toMatchObject([
      {
        events: {
          backchannel_logout: true,
          transmitter: world.issuer.issuer,
          since: expect.any(String),
          last: { source: 'shared_signals', event: 'session-revoked', at: new Date(clock.nowMs()).toISOString() },
          counts: expect.arrayContaining([{ name: 'shared_signals applied', count: expect.any(Number) }]),
        },
      },
    ]);
    expect(JSON.stringify(issuers)).not.toContain('"count":0');
    const page = await (await gateway.admin('/console/issuers')).text();
    expect(page).toContain('Last event');
    const asked = { method: 'GET', path: '/things/1', token };
    const explained = await fetch(`http://127.0.0.1:${gateway.running.ports.admin}/api/explain`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    });
    expect(await explained.text()).toContain('the event session-revoked by Shared Signals of sso, ');
    const metrics = await (await gateway.admin('/metrics')).text();
    expect(metrics).toMatch(/countersign_events_total\{.*source="shared_signals",result="applied".*\} \d+/);
    // Prometheus' rate() does not see the first failure of a series that begins with it.
    for (const source of ['backchannel_logout', 'shared_signals'])
      expect(metrics).toMatch(new RegExp(`countersign_events_total.*source="${source}",result="unavailable"\\} 0\n`));
    expect(metrics).toMatch(/countersign_event_last_timestamp_seconds\{.*\} \d+/);
  });

  test('no secret or token is logged', () => {
    const text = gateway.log.text();
    expect(text).toContain('"backchannel_logout"');
    for (const secret of [eventSecret, previousSecret, 'eyJ']) expect(text).not.toContain(secret);
  });
});
