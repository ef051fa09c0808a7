import { createHealth, createMetrics } from '@countersign/process-kit';
import { describeApi } from '@countersign/service-kit';
import { databases, silentLogger, type ThrowAway } from '@countersign/testing';
import { servedRoutes } from '@countersign/testing/service';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import request from 'supertest';
import { createApp } from '../src/app.ts';
import { linkPages } from '../src/domain/mail/mail-messages.ts';
import { openSigningKeys } from '../src/flows/keys/signing-keys.ts';
import { openFeed } from '../src/flows/sessions/follow-revocations.ts';
import { api } from '../src/routes/api.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { keks, loginParts } from './support/flows.ts';
import { openProbed } from './support/probed-database.ts';

/** Pages for people, which answer with HTML. */
const pages = [
  ...['/login', '/login/tenant', '/login/second-factor', '/logout', '/register', '/forgot-password'],
  ...Object.values(linkPages),
  ...[
    '',
    '/password',
    '/second-factor',
    '/devices',
    '/applications',
    '/organizations',
    '/log-in',
    '/members',
    '/invitations',
  ].map((path) => `/account${path}`),
]
  .flatMap((path) => [`get ${path}`, `post ${path}`])
  .concat('get /account/audit', 'get /account/audit.ndjson');
const assets = ['get /account/files/account.css', 'get /account/files/icon.svg'];

/** Routes that are mounted before the identity check and described elsewhere. */
const open = [
  'get /.well-known/jwks.json',
  'get /.well-known/openapi.json',
  'get /.well-known/oauth-authorization-server',
];

describe('the OpenAPI description of the auth-service', () => {
  const [first] = databases();
  let store: ThrowAway<AuthSchema>;
  let app: ReturnType<typeof createApp>;
  let close: () => Promise<void>;
  beforeAll(async () => {
    if (first === undefined) throw new Error('there is no database');
    store = await openProbed(first[1]);
    const feed = await openFeed(store.db);
    app = createApp({
      ...(await loginParts(store.db)),
      signingKeys: await openSigningKeys(store.db, keks),
      issuer: { issuer: 'https://id.example.test', audience: 'complaints-api' },
      browserOrigins: new Set(),
      pages: { origins: new Set(), afterLogin: '/app/' },
      scopes: [],
      feed,
      names: { namesOf: async () => undefined, rename: async () => {} },
      identity: (_req, _res, next) => next(),
      registration: { mode: 'open', joins: undefined },
      health: createHealth({}),
      metrics: createMetrics(),
      logger: silentLogger(),
    });
    close = () => feed.end();
  });
  afterAll(async () => {
    await close();
    await store.close();
  });

  test('lists exactly the served routes', () => {
    const described = api.endpoints.map(({ method, path }) => `${method} ${path}`);
    expect(servedRoutes(app)).toEqual([...described, ...open, ...pages, ...assets].sort());
  });

  test('the description is served publicly', async () => {
    const answer = await request(app).get('/.well-known/openapi.json');
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(JSON.parse(JSON.stringify(describeApi(api))));
    const again = await request(app).get('/.well-known/openapi.json').set('if-none-match', String(answer.headers.etag));
    expect(again.status).toBe(304);
  });
});
