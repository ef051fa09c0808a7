import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { backchannelPath, type EventGateway, type EventWorld, eventWorld } from './event-gateway.ts';
import { keycloak } from './providers/keycloak.ts';
import { okta } from './providers/okta.ts';
import { type Shape, timed } from './providers/shape.ts';

// Each payload has the shape that the provider's documentation shows, with values of our own.

const caep = 'https://schemas.openid.net/secevent/caep/event-type/';
const nowSec = () => Math.floor(Date.now() / 1000);

describe('a documented event ends a documented token', () => {
  let world: EventWorld;
  /** Signs access tokens, and events where the provider has one key set. */
  let tokens: TestIssuer;
  let transmitter: TestIssuer;
  beforeEach(async () => {
    world = await eventWorld();
    tokens = await mintIssuer({ alg: 'RS256' });
    transmitter = await mintIssuer({ alg: 'RS256' });
    writeFileSync(join(world.home, 'tokens.json'), JSON.stringify(tokens.jwks));
    writeFileSync(join(world.home, 'transmitter.json'), JSON.stringify(transmitter.jwks));
  });
  afterEach(() => world.close());

  async function start(shape: Shape, events: string): Promise<EventGateway> {
    const [before = '', after = ''] = world.yaml().split(/ {2}- name: sso[\s\S]*?(?=\nidentity:)/);
    const issuer = `  - name: sso\n    jwks: ${join(world.home, 'tokens.json')}${shape.yaml}\n    events: ${events}`;
    return world.start({ text: before + issuer + after });
  }
  const tokenOf = ({ claims, header }: Shape, changes: object = {}) =>
    tokens.sign(timed({ ...claims, ...changes }, nowSec()), { typ: undefined, ...header } as object);

  test.each([
    [
      'session-revoked',
      {
        [`${caep}session-revoked`]: {
          subject: { user: { format: 'iss_sub', iss: 'https://acme.okta.example.test', sub: '00ujmkLgagxeRrAg20g3' } },
          reason_admin: { en: 'Policy' },
        },
      },
    ],
    [
      'credential-change',
      {
        [`${caep}credential-change`]: {
          subject: { format: 'iss_sub', iss: 'https://acme.okta.example.test', sub: '00ujmkLgagxeRrAg20g3' },
          credential_type: 'password',
          change_type: 'revoke',
          initiating_entity: 'user',
        },
      },
    ],
  ])('Okta: %s', async (_name, events) => {
    // https://developer.okta.com/docs/reference/ssf-transmitter-sets/
    const keys = join(world.home, 'transmitter.json');
    const gateway = await start(
      okta,
      `{ audience: "https://sp.example.test/caep", sharedSignals: { secret: "\${SSF_SECRET}", jwks: ${keys} } }`,
    );
    const [ended, other] = [await tokenOf(okta), await tokenOf(okta, { uid: '00uother', sub: 'bob@example.test' })];
    expect(await gateway.ask(ended)).toEqual([200, undefined]);
    const [type = '', event = {}] = Object.entries(events)[0] ?? [];
    const payload = {
      iss: 'https://acme.okta.example.test',
      jti: '24c63fb56e5a2d77a6b512616ca9fa24',
      iat: nowSec(),
      aud: 'https://sp.example.test/caep',
      events: { [type]: { ...event, event_timestamp: Date.now() } },
    };
    expect((await gateway.push(await tokens.sign(payload, { typ: 'secevent+jwt' }))).status).toBe(400);
    expect((await gateway.push(await transmitter.sign(payload, { typ: 'secevent+jwt' }))).status).toBe(202);
    expect(await gateway.ask(ended)).toEqual([401, 'token_revoked']);
    expect(await gateway.ask(other)).toEqual([200, undefined]);
  });

  const realm = 'https://sso.example.test/realms/acme';
  const user = { format: 'iss_sub', iss: realm, sub: keycloak.claims.sub };
  const session = { format: 'opaque', id: keycloak.claims.sid };

  test.each([
    ['a user', user],
    ['a session of a user', { format: 'complex', user, session }],
    ['a user of an organization', { format: 'complex', user, tenant: { format: 'opaque', id: 'an-organization' } }],
  ])('Keycloak: session-revoked of %s', async (_name, subject) => {
    // https://www.keycloak.org/nightly/securing-apps/ssf-support
    const gateway = await start(keycloak, `{ audience: web, sharedSignals: { secret: "\${SSF_SECRET}" } }`);
    const [ended, other] = [await tokenOf(keycloak), await tokenOf(keycloak, { sub: 'b', sid: 'other' })];
    expect(await gateway.ask(ended)).toEqual([200, undefined]);
    const payload = {
      iss: realm,
      jti: 'e1',
      iat: nowSec(),
      aud: 'web',
      sub_id: subject,
      events: { [`${caep}session-revoked`]: { event_timestamp: nowSec(), initiating_entity: 'user' } },
    };
    expect((await gateway.push(await tokens.sign(payload, { typ: 'secevent+jwt' }))).status).toBe(202);
    expect(await gateway.ask(ended)).toEqual([401, 'token_revoked']);
    expect(await gateway.ask(other)).toEqual([200, undefined]);
  });

  test.each(['logout+jwt', 'JWT'])('Keycloak: a logout token with typ %s', async (typ) => {
    // https://www.keycloak.org/docs/latest/server_admin/index.html#_oidc-logout
    const gateway = await start(keycloak, '{ audience: web, backchannelLogout: true }');
    const [ended, other] = [await tokenOf(keycloak), await tokenOf(keycloak, { sid: 'other' })];
    expect(await gateway.ask(ended)).toEqual([200, undefined]);
    const payload: Record<string, unknown> = {
      iat: nowSec(),
      exp: nowSec() + 120,
      jti: 'l1',
      iss: realm,
      aud: 'web',
      sub: keycloak.claims.sub,
      typ: 'Logout',
      sid: keycloak.claims.sid,
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    };
    expect((await gateway.logOut(await tokens.sign(payload, { typ }), backchannelPath)).status).toBe(200);
    expect(await gateway.ask(ended)).toEqual([401, 'token_revoked']);
    expect(await gateway.ask(other)).toEqual([200, undefined]);
    // An ID token of the same client, and an access token, are no logout tokens.
    const idToken = await tokens.sign(
      { ...payload, events: undefined, nonce: 'n', typ: 'ID' },
      {
        typ: 'JWT',
      },
    );
    for (const wrong of [idToken, ended]) expect((await gateway.logOut(wrong)).status).toBe(400);
  });
});
