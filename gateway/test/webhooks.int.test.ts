import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type EventGateway, type EventWorld, eventWorld } from './event-gateway.ts';
import { type WebhookSender, webhookSenders } from './kit/webhook-senders.ts';
import { timed } from './providers/shape.ts';

const nowSec = () => Math.floor(Date.now() / 1000);
const revoked = [401, 'token_revoked'];
const good = [200, undefined];
const hourMs = 3_600_000;

describe.each(webhookSenders.map((sender) => [sender.format, sender] as const))(
  'a webhook of %s',
  (name, sender: WebhookSender) => {
    const path = `/.well-known/countersign/webhook/${name}`;
    let world: EventWorld;
    let gateway: EventGateway;
    let tokens: TestIssuer;
    beforeAll(async () => {
      world = await eventWorld();
      tokens = await mintIssuer({ alg: 'RS256' });
      writeFileSync(join(world.home, 'tokens.json'), JSON.stringify(tokens.jwks));
      const [before = '', after = ''] = world.yaml().split(/ {2}- name: sso[\s\S]*?(?=\nidentity:)/);
      writeFileSync(join(world.home, 'secret'), `${sender.secret}\n`);
      const events = `{ webhook: { format: ${name}, secretFile: ${join(world.home, 'secret')} }${sender.more ?? ''} }`;
      const issuer = `  - name: ${name}\n    jwks: ${join(world.home, 'tokens.json')}${sender.shape.yaml}\n    events: ${events}`;
      gateway = await world.start({ text: before + issuer + after });
    });
    afterAll(() => world.close());

    /** Each test has its own user and session, which replace those of the documented payload. */
    let count = 0;
    function person() {
      count += 1;
      const number = 100 + count;
      const { sub, sid, uid } = sender.shape.claims as Record<string, string>;
      const own = (id: string) => `${id.slice(0, -3)}${number}`;
      const renamed = (text: string) =>
        [sub, sid, uid].reduce<string>((all, id) => (id ? all.replaceAll(id, own(id)) : all), text);
      const rename = <T>(value: T): T => JSON.parse(renamed(JSON.stringify(value))) as T;
      const token = (changes: object = {}, agoSec = 0) =>
        tokens.sign(timed({ ...rename(sender.shape.claims), ...changes }, nowSec() - agoSec), {
          typ: undefined,
          ...sender.shape.header,
        } as object);
      return { rename, token };
    }
    const textOf = (
      payload: WebhookSender['events'][number][1],
      { rename }: ReturnType<typeof person>,
      atMs = Date.now(),
    ) => JSON.stringify(rename(payload(new Date(atMs).toISOString(), atMs)));
    const deliver = (body: string, secret = sender.secret, nowMs = Date.now(), changes: Record<string, string> = {}) =>
      gateway.post(
        path,
        { 'content-type': 'application/json', ...sender.headers(body, secret, nowMs), ...changes },
        body,
      );
    const [, payload] = sender.events[0] as WebhookSender['events'][number];

    test.each(sender.events)(
      '%s ends the documented token within a second, and no other',
      async (_title, make, others) => {
        const own = person();
        const ended = await own.token();
        const kept = await Promise.all([person().token(), ...others.map((other) => own.token(other))]);
        for (const token of [ended, ...kept]) expect(await gateway.ask(token)).toEqual(good);
        expect(await deliver(textOf(make, own))).toMatchObject({ status: 200, body: '' });
        expect(await gateway.ask(ended)).toEqual(revoked);
        for (const token of kept) expect(await gateway.ask(token)).toEqual(good);
      },
    );

    test.each(sender.ignored)('%s is acknowledged, and ends nothing', async (_title, make) => {
      const own = person();
      const token = await own.token();
      expect(await deliver(textOf(make, own))).toMatchObject({ status: 200, body: '' });
      expect(await gateway.ask(token)).toEqual(good);
    });

    test('is refused with another secret, another body or no signature, and then ends nothing', async () => {
      const own = person();
      const token = await own.token();
      const body = textOf(payload, own);
      const headers = sender.headers(body, sender.secret, Date.now());
      const [first = ''] = Object.keys(headers);
      const another = sender.secret.replace(/.{4}(?=.$)/, 'abcd');
      const refused = [await deliver(body, another), await gateway.post(path, {}, body)];
      if (name !== 'okta') refused.push(await gateway.post(path, headers, `${body} `));
      refused.push(await gateway.post(path, { ...headers, [first]: `${headers[first]}x` }, body));
      const bodies = refused.map(({ status, body: text }) => {
        const { code } = JSON.parse(text) as { code: string };
        return [status, code];
      });
      expect(new Set(bodies.map(String))).toEqual(new Set(['401,event_unauthenticated']));
      expect(await gateway.ask(token)).toEqual(good);
      expect(gateway.log.text()).not.toContain(sender.secret);
    });

    test.each(sender.events)('%s that is repeated, late or out of order ends no later login', async (title, make) => {
      const own = person();
      const [late, later] = [textOf(make, own, Date.now() - hourMs), textOf(make, own, Date.now() - 2 * hourMs)];
      const old = await own.token({ iat: nowSec() - 3 * 3_600, nbf: undefined, exp: nowSec() + 600 });
      const fresh = await own.token();
      const endsSession = ['clerk', 'workos'].includes(name) && title.startsWith('session.');
      // Each attempt is signed anew.
      for (const body of [late, later, late]) expect((await deliver(body)).status).toBe(200);
      // A session that ended stays so. Its user's next login has another.
      expect(await gateway.ask(endsSession ? await own.token({ sid: 'next' }) : fresh)).toEqual(good);
      expect(await gateway.ask(old)).toEqual(revoked);
    });

    test('from the future ends no later login', async () => {
      const own = person();
      expect((await deliver(textOf(payload, own, Date.now() + 24 * hourMs))).status).toBe(200);
      const later = await own.token({ iat: nowSec() + 7, sid: 'next' });
      expect((await gateway.ask(later))[1]).not.toBe('token_revoked');
    });

    test.each([
      ['a repeated name', (text: string) => text.replace('{', '{"data":{},'), 400],
      ['an array', (text: string) => `[${text}]`, 400],
      ['no JSON', () => 'x', 400],
      ['deep nesting', (text: string) => text.replace('{', `{"deep":${'['.repeat(5_000)}${']'.repeat(5_000)},`), 400],
      ['__proto__', (text: string) => `{"__proto__":${text}}`, 400],
      ['256 KiB and more', (text: string) => text.replace('{', `{"x":"${'x'.repeat(256 * 1024)}",`), 413],
    ])('with %s is refused, although it is signed', async (_title, change, status) => {
      const own = person();
      const token = await own.token();
      // Logto's and Clerk's own bodies have one `data`, and a second one is what is tested.
      const body = change(textOf(payload, own).replace('{', name === 'zitadel' ? '{"data":{},' : '{'));
      expect((await deliver(body)).status).toBe(status);
      expect(await gateway.ask(token)).toEqual(good);
    });

    test('is only read by POST', async () => {
      const { statusCode } = await request(`http://127.0.0.1:${gateway.running.ports.public}${path}`, {
        headers: sender.headers('', sender.secret, Date.now()),
      });
      // Okta's challenge is a GET, and needs its header.
      expect(statusCode).toBe(name === 'okta' ? 400 : 405);
    });
  },
);
