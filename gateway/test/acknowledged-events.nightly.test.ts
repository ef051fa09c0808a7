import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually, freePorts, startProcess } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { request } from 'undici';
import { eventSecret, eventWorld } from './event-gateway.ts';
import { standardHeaders } from './kit/webhook-senders.ts';

const events = 1_000;
/** How many are sent at once before each kill. */
const perKill = Number(process.env.PER_KILL ?? 1);
const webhookSecret = `whsec_${Buffer.from('the secret of a webhook, 32 byte').toString('base64')}`;

test(`${events} times: what is answered with 200 is in effect after kill -9 and a restart`, async () => {
  const world = await eventWorld();
  try {
    const [port = 0, admin = 0, internal = 0] = await freePorts(3);
    const file = join(world.home, 'gateway.yaml');
    const parts = `{ webhook: { format: clerk, secret: "\${HOOK}" }, revoke: { secret: "\${CALL}" } }`;
    const listen = `listen: { public: "127.0.0.1:${port}", admin: "127.0.0.1:${admin}", internal: "127.0.0.1:${internal}" }`;
    writeFileSync(file, world.yaml({ events: parts }).replace(/^listen: .*$/m, listen));
    const args = [resolve(import.meta.dirname, '../bin/countersign.js'), 'serve', '-c', file];
    const start = () =>
      startProcess({
        args,
        env: { HOOK: webhookSecret, CALL: eventSecret },
      });
    const path = (kind: string) => `http://127.0.0.1:${port}/.well-known/countersign/${kind}/sso`;
    const post = async (url: string, headers: Record<string, string>, body: string) =>
      (await request(url, { method: 'POST', headers, body, reset: true })).statusCode;
    const ask = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      return (await request(`http://127.0.0.1:${port}/things/1`, { headers, reset: true })).statusCode;
    };
    // Tokens get 503 until the journal is read.
    const askOnceRead = (token: string) =>
      eventually(async () => {
        const status = await ask(token);
        expect(status).not.toBe(503);
        return status;
      }, 30_000);
    const ready = () =>
      eventually(async () => {
        expect((await request(`http://127.0.0.1:${admin}/readyz`, { reset: true })).statusCode).toBe(200);
      }, 30_000);

    const tokens = await Promise.all(
      Array.from({ length: events }, (_, at) =>
        world.token({ sub: `u-${at}`, sid: `s-${at}`, exp: Math.floor(Date.now() / 1000) + 80_000 }),
      ),
    );
    const send = (at: number) => {
      if (at % 2 === 0) {
        const timestamp = Date.now();
        const body = JSON.stringify({
          type: 'session.revoked',
          timestamp,
          data: { id: `s-${at}`, user_id: `u-${at}` },
        });
        return post(path('webhook'), { ...standardHeaders(body, webhookSecret, timestamp) }, body);
      }
      const body = JSON.stringify({ id: `call-${at}`, user: `u-${at}` });
      return post(path('revoke'), { authorization: `Bearer ${eventSecret}` }, body);
    };
    for (let first = 0; first < events; first += perKill) {
      const gateway = start();
      await ready();
      // The one before survived its kill.
      if (first > 0) expect(await askOnceRead(tokens[first - 1] ?? '')).toBe(401);
      expect(await askOnceRead(tokens[first] ?? '')).toBe(200);
      const sent = Array.from({ length: Math.min(perKill, events - first) }, (_, at) => send(first + at));
      const statuses = await Promise.all(sent);
      await gateway.stop('SIGKILL');
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
    }
    // An address with 600 refused tokens in a minute gets 429, which a restart ends.
    for (const half of [tokens.slice(0, events / 2), tokens.slice(events / 2)]) {
      const last = start();
      await ready();
      const statuses = await Promise.all(half.map(askOnceRead));
      expect(statuses.filter((status) => status !== 401)).toEqual([]);
      expect(await ask(await world.token({ sub: 'other', sid: 'other' }))).toBe(200);
      await last.stop();
    }
  } finally {
    await world.close();
  }
}, 7_200_000);
