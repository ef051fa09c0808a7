import { createVerifier, gatewayKeys, type IdentityClaims, memoryReplay } from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import { commonErrors, createHealth, createMetrics } from '@countersign/process-kit';
import { asUser, people, silentLogger, type TestGateway, testClock, testGateway } from '@countersign/testing';
import { assertDescribed } from '@countersign/testing/service';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Express } from 'express';
import supertest, { type Response } from 'supertest';
import { z } from 'zod';
import { withCodeSamples } from '../src/api/code-samples.ts';
import {
  type Api,
  apiPageRoutes,
  createServiceApp,
  describeApi,
  type Endpoint,
  ignoresUnknown,
  mergeApis,
  mountRoutes,
  routesWith,
  wholeNumberField,
} from '../src/index.ts';

const errors = {
  ...commonErrors,
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  insufficient_scope: { status: 403, fault: 'caller', title: 'The token lacks a scope.' },
  sold_out: { status: 409, fault: 'caller', title: 'No copies are left.' },
  on_loan: { status: 409, fault: 'caller', title: 'Another reader has this book.' },
} as const;
const route = routesWith<keyof typeof errors, undefined>();

const book = z.object({ id: z.string(), title: z.string() }).meta({ id: 'Book' });

const readBook = route('GET /v1/books/:id', {
  operationId: 'readBook',
  tag: 'Books',
  summary: 'Read one book',
  callers: ['user'],
  params: z.object({ id: z.string().regex(/^b[0-9]+$/) }),
  query: z.strictObject({ copies: wholeNumberField({ min: 1, max: 9 }).default(2) }),
  headers: z.object({ 'x-shelf': z.string().max(5).optional() }),
  responses: { 200: book.extend({ copies: z.int(), shelf: z.string().nullable() }) },
  errors: [],
}).handle(({ reply, params, query, headers }) =>
  reply(200, { id: params.id, title: 'Emma', copies: query.copies, shelf: headers['x-shelf'] ?? null }),
);

const addBook = route('POST /v1/books', {
  operationId: 'addBook',
  tag: 'Books',
  summary: 'Add a book',
  callers: ['user'],
  roles: ['admin'],
  body: z.strictObject({ title: z.string().min(1) }).meta({ examples: [{ title: 'Emma' }] }),
  responses: { 201: { schema: book, headers: { location: 'The path of the book.' } } },
  errors: ['sold_out', 'on_loan'],
});

const lendBook = route('POST /v1/loans', {
  operationId: 'lendBook',
  tag: 'Books',
  summary: 'Lend a book with a form',
  callers: ['anonymous', 'user'],
  body: z.strictObject({ id: z.string() }),
  encoding: 'form',
  responses: { 204: null },
  errors: [],
});

const uploadCover = route('PUT /v1/cover', {
  operationId: 'uploadCover',
  tag: 'Books',
  summary: 'Upload a cover',
  callers: ['user'],
  upload: { 'image/png': null },
  responses: { 200: z.object({ bytes: z.int() }) },
  errors: [],
}).handle(async ({ req, reply }) => {
  let bytes = 0;
  for await (const chunk of req) bytes += (chunk as Buffer).length;
  reply(200, { bytes });
});

const returnBooks = route('POST /v1/returns', {
  operationId: 'returnBooks',
  tag: 'Books',
  summary: 'Return all books',
  callers: ['user'],
  responses: { 204: null },
  errors: [],
}).handle(({ reply }) => reply(204));

const exportBooks = route('GET /v1/books.csv', {
  operationId: 'exportBooks',
  tag: 'Books',
  summary: 'Export the books',
  callers: ['user', 'client'],
  scopes: ['books.read'],
  responses: { 200: { description: 'One line per book.', schema: z.string(), mediaType: 'text/csv' } },
  errors: [],
}).handle(({ res }) => void res.type('text/csv').end('id,title\r\n'));

const routes = [
  readBook,
  addBook.handle(({ res, reply, body, identity }) => {
    res.location('/v1/books/b1');
    reply(201, { id: 'b1', title: `${body.title} of ${identity.tenantId}` });
  }),
  lendBook.handle(({ reply, identity }) => (identity.kind === 'user' ? reply(204) : reply(204))),
  returnBooks,
  uploadCover,
  exportBooks,
];

const api: Api = {
  title: 'Library',
  description: 'Books.',
  tags: [{ name: 'Books', description: 'Everything.' }],
  errors,
  endpoints: routes.map(({ endpoint }) => endpoint),
};

const declared = Object.fromEntries(api.endpoints.map((each) => [each.operationId, each])) as Record<
  'readBook' | 'addBook',
  Endpoint
>;
const document = JSON.stringify(describeApi(api));
const { admin, agent } = people;
const json = 'application/json';
const form = 'application/x-www-form-urlencoded';
const reader: IdentityClaims = { kind: 'client', clientId: 'client-7', context: { scope: ['books.read'] } };
const anonymous: IdentityClaims = { kind: 'anonymous' };

describe('a declared route', () => {
  let gateway: TestGateway;
  let app: Express;
  let stopKeys: () => void;
  const clock = testClock(Math.floor(Date.now() / 1000) * 1000);
  beforeAll(async () => {
    gateway = await testGateway(clock);
    const keys = gatewayKeys({ url: gateway.keysUrl });
    keys.start();
    stopKeys = () => keys.stop();
    const replay = memoryReplay({ nowMs: clock.nowMs });
    clock.advance(1_000);
    app = createServiceApp({
      logger: silentLogger(),
      health: createHealth({}),
      metrics: createMetrics(),
      errors,
      identity: verifyIdentity({ verifier: createVerifier({ audience: 'library', keys, replay, nowMs: clock.nowMs }) }),
      routes: mountRoutes(routes, undefined).use(apiPageRoutes(document)),
    });
  });
  afterAll(async () => {
    stopKeys();
    await gateway.close();
  });

  /** Sends a signed request, and compares the response with the declaration. */
  async function call(
    claims: IdentityClaims,
    method: 'get' | 'post' | 'put',
    target: string,
    given: Readonly<{ body?: string; type?: string; headers?: Record<string, string> }> = {},
  ): Promise<Response> {
    const { body, type } = given;
    const contentType = type === undefined ? {} : { contentType: type };
    const signed = gateway.sign({
      method: method.toUpperCase(),
      target,
      claims,
      audience: 'library',
      body,
      ...contentType,
    });
    const request = supertest(app)
      [method](target)
      .set({ ...signed, ...given.headers });
    if (type !== undefined) request.set('content-type', type);
    const response = await (body === undefined ? request : request.send(body));
    assertDescribed(api, method, target, response);
    return response;
  }

  test('accepts no body, or an empty object, if none is declared', async () => {
    expect((await call(asUser(agent), 'post', '/v1/returns')).status).toBe(204);
    expect((await call(asUser(agent), 'post', '/v1/returns', { body: '{}', type: json })).status).toBe(204);
  });

  test('passes the validated path, query and headers to its handler', async () => {
    const { body } = await call(asUser(agent), 'get', '/v1/books/b7?copies=3', { headers: { 'x-shelf': 'A' } });
    expect(body).toEqual({ id: 'b7', title: 'Emma', copies: 3, shelf: 'A' });
    expect((await call(asUser(agent), 'get', '/v1/books/b7')).body).toMatchObject({ copies: 2, shelf: null });
  });

  test.each([
    ['a path parameter that cannot exist', agent, 'get', '/v1/books/x', {}, 404, 'not_found'],
    ['a query value out of bounds', agent, 'get', '/v1/books/b1?copies=10', {}, 422, 'validation_failed'],
    ['an undeclared query parameter', agent, 'get', '/v1/books/b1?copy=3', {}, 422, 'validation_failed'],
    [
      'a query if the route declares none',
      admin,
      'post',
      '/v1/books?dry',
      { body: '{"title":"Emma"}', type: json },
      422,
      'validation_failed',
    ],
    [
      'an undeclared member',
      admin,
      'post',
      '/v1/books',
      { body: '{"title":"Emma","id":"b9"}', type: json },
      422,
      'validation_failed',
    ],
    [
      'a body if the route declares none',
      agent,
      'post',
      '/v1/returns',
      { body: '{"id":"b1"}', type: json },
      422,
      'validation_failed',
    ],
    [
      'an undeclared form field',
      admin,
      'post',
      '/v1/loans',
      { body: 'id=b1&to=ann', type: form },
      422,
      'validation_failed',
    ],
    ['a number in another notation', agent, 'get', '/v1/books/b1?copies=0x2', {}, 422, 'validation_failed'],
    [
      'a header that is too long',
      agent,
      'get',
      '/v1/books/b1',
      { headers: { 'x-shelf': 'ABCDEF' } },
      422,
      'validation_failed',
    ],
    ['another role', agent, 'post', '/v1/books', { body: '{"title":"Emma"}', type: json }, 403, 'insufficient_role'],
    ['an invalid body', admin, 'post', '/v1/books', { body: '{"title":""}', type: json }, 422, 'validation_failed'],
    [
      'a form instead of JSON',
      admin,
      'post',
      '/v1/books',
      { body: 'title=Emma', type: form },
      415,
      'unsupported_media_type',
    ],
    [
      'JSON instead of a form',
      admin,
      'post',
      '/v1/loans',
      { body: '{"id":"b1"}', type: json },
      415,
      'unsupported_media_type',
    ],
    [
      'a repeated form field',
      admin,
      'post',
      '/v1/loans',
      { body: 'id=b1&id=b2', type: form },
      422,
      'validation_failed',
    ],
    [
      'a form in another encoding',
      admin,
      'post',
      '/v1/loans',
      { body: 'id=b1', type: `${form}; charset=latin1` },
      415,
      'unsupported_media_type',
    ],
    [
      'a form whose escapes are not UTF-8',
      admin,
      'post',
      '/v1/loans',
      { body: 'id=%ff', type: form },
      400,
      'invalid_request',
    ],
    [
      'an upload with another media type',
      agent,
      'put',
      '/v1/cover',
      { body: 'GIF', type: 'image/gif' },
      415,
      'unsupported_media_type',
    ],
  ] as const)('refuses %s', async (_, who, method, target, given, status, code) => {
    const response = await call(asUser(who), method, target, given);
    expect([response.status, response.body.code]).toEqual([status, code]);
  });

  test.each([
    ['a missing field', '{}', 'is required'],
    ['a field of another type', '{"title":7}', 'must be a string'],
  ])('says in words what is wrong with %s', async (_what, body, message) => {
    const response = await call(asUser(admin), 'post', '/v1/books', { body, type: json });
    expect(response.body.errors).toEqual([{ path: 'title', message }]);
  });

  test.each<[string, z.ZodType]>([
    ['', z.object({ title: z.string() })],
    [' inside another object', z.strictObject({ book: z.object({ title: z.string() }).nullish() })],
    [' in a list', z.strictObject({ books: z.array(z.object({ title: z.string() })).default([]) })],
    [' in a choice', z.union([z.strictObject({ isbn: z.string() }), z.object({ title: z.string() })])],
    [' before a transformation', z.object({ title: z.string() }).transform(({ title }) => title)],
  ])('a route cannot have an object%s that ignores unknown members, unless a standard requires it', (_where, body) => {
    const declare = (input: { body: z.ZodType } | { query: z.ZodType }) => () =>
      route('POST /v1/books', { ...declared.addBook, errors: [], ...input });
    const message = /^addBook: the object of title ignores unknown members/;
    expect(declare({ body })).toThrow(message);
    expect(declare({ query: body })).toThrow(message);
    const key = z.object({ title: z.string() }).register(ignoresUnknown, { source: 'RFC 7517 section 4' });
    expect(declare({ body: z.strictObject({ key: key.refine(() => true) }) })).not.toThrow();
  });

  test('refuses a kind of caller that it does not declare', async () => {
    const response = await call(anonymous, 'get', '/v1/books/b1');
    expect([response.status, response.body.code]).toEqual([403, 'identity_not_allowed']);
  });

  test('refuses a token without its scopes, and names them', async () => {
    const response = await call(asUser(agent), 'get', '/v1/books.csv');
    expect([response.status, response.body.code]).toEqual([403, 'insufficient_scope']);
    expect(response.headers['www-authenticate']).toContain('scope="books.read"');
  });

  test('responds with a Location to a creation, and accepts forms and uploads', async () => {
    const created = await call(asUser(admin), 'post', '/v1/books', { body: '{"title":"Emma"}', type: json });
    expect([created.status, created.headers.location]).toEqual([201, '/v1/books/b1']);
    expect(created.body).toEqual({ id: 'b1', title: `Emma of ${admin.tenantId}` });
    expect((await call(anonymous, 'post', '/v1/loans', { body: 'id=b1', type: form })).status).toBe(204);
    const cover = await call(asUser(agent), 'put', '/v1/cover', { body: 'x'.repeat(200_000), type: 'image/png' });
    expect(cover.body).toEqual({ bytes: 200_000 });
    expect((await call(reader, 'get', '/v1/books.csv')).text).toBe('id,title\r\n');
  });

  test('appears on a sandboxed API page, which everyone with a signed identity can read', async () => {
    const page = await call(anonymous, 'get', '/docs');
    expect([page.status, page.type]).toEqual([200, 'text/html']);
    expect(page.headers['content-security-policy']).toMatch(/default-src 'none'.* sandbox allow-scripts$/);
    for (const [, script = ''] of page.text.matchAll(/src="([^"]+)"/g)) {
      expect(await call(anonymous, 'get', script)).toMatchObject({ status: 200, type: 'text/javascript' });
    }
    expect((await call(anonymous, 'get', '/docs/page.js')).text).toContain(
      `const description = ${withCodeSamples(document)};`,
    );
    expect((await call(asUser(agent), 'get', '/openapi.json')).body).toEqual(JSON.parse(document));
    expect((await supertest(app).get('/docs')).status).toBe(401);
  });
});

describe('the OpenAPI description', () => {
  const { paths, components } = describeApi(api) as {
    paths: Record<string, Record<string, Record<string, unknown>>>;
    components: { schemas: Record<string, object> };
  };

  test('lists parameters with their location, bounds and default', () => {
    expect(paths['/v1/books/{id}']?.get?.parameters).toEqual([
      { name: 'id', in: 'path', required: true, schema: { type: 'string', pattern: '^b[0-9]+$' } },
      { name: 'copies', in: 'query', required: false, schema: { type: 'integer', minimum: 1, maximum: 9, default: 2 } },
      { name: 'x-shelf', in: 'header', required: false, schema: { type: 'string', maxLength: 5 } },
    ]);
  });

  test('describes bodies by media type, with their examples', () => {
    expect(paths['/v1/books']?.post?.requestBody).toMatchObject({
      required: true,
      content: { 'application/json': { schema: { examples: [{ title: 'Emma' }] } } },
    });
    expect(paths['/v1/loans']?.post?.requestBody).toMatchObject({ content: { [form]: {} } });
    expect(paths['/v1/cover']?.put?.requestBody).toMatchObject({ content: { 'image/png': {} } });
    expect(paths['/v1/books.csv']?.get?.security).toContainEqual({ accessToken: ['books.read'] });
    expect(paths['/v1/books.csv']?.get?.responses).toMatchObject({
      200: { description: 'One line per book.', content: { 'text/csv': {} } },
    });
  });

  test('gives each error code a component whose code is a constant', () => {
    const responses = paths['/v1/books']?.post?.responses as Record<string, unknown>;
    expect(responses[409]).toMatchObject({
      content: {
        'application/problem+json': {
          schema: {
            oneOf: [{ $ref: '#/components/schemas/SoldOutProblem' }, { $ref: '#/components/schemas/OnLoanProblem' }],
          },
        },
      },
    });
    expect(components.schemas.SoldOutProblem).toMatchObject({
      allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: { const: 'sold_out' } } }],
    });
  });

  test.each([
    [
      'two schemas with one name',
      { ...declared.addBook, responses: { 201: z.object({ other: z.int() }).meta({ id: 'Problem' }) } },
    ],
    ['an undeclared tag', { ...declared.addBook, tag: 'Boks' }],
    ['an error code that is not in the table', { ...declared.addBook, errors: ['sold'] }],
    ['two operations with one name', { ...declared.addBook, path: '/v1/other', operationId: 'readBook' }],
    ['two operations with one method and path', { ...declared.addBook, method: 'get', path: '/v1/books/:id' } as const],
  ])('refuses %s', (_, wrong) => {
    expect(() => describeApi({ ...api, endpoints: [declared.readBook, wrong] })).toThrow();
  });
});

describe('the merged description of several services', () => {
  const gatewayErrors = { ...commonErrors, no_route: { status: 404, fault: 'caller', title: 'No route.' } } as const;
  const options = { title: 'All', description: 'Everything.', gatewayErrors };
  const film = {
    ...declared.readBook,
    path: '/v1/films/:id',
    operationId: 'readFilm',
    tag: 'Films',
    errors: [],
  } as const;
  const films: Api = {
    ...api,
    tags: [{ name: 'Films', description: 'All films.' }],
    endpoints: [film, { ...film, path: '/internal/films/:id', operationId: 'lookUpFilm', callers: ['service'] }],
  };

  test('contains the operations for clients, and the gateway’s error codes', () => {
    const merged = mergeApis([api, films], options);
    expect(merged.endpoints.map(({ operationId }) => operationId)).toEqual([
      ...api.endpoints.map(({ operationId }) => operationId),
      'readFilm',
    ]);
    expect(merged.tags.map(({ name }) => name)).toEqual(['Books', 'Films']);
    expect(describeApi(merged)).toMatchObject({
      components: {
        schemas: {
          GatewayProblem: { allOf: [{}, { properties: { code: { enum: expect.arrayContaining(['no_route']) } } }] },
        },
      },
    });
  });

  test.each([
    ['an error code', { ...films, errors: { ...errors, sold_out: { ...errors.sold_out, status: 410 } } }],
    ['a tag', { ...films, tags: [{ name: 'Books', description: 'Other.' }], endpoints: [{ ...film, tag: 'Books' }] }],
    ['an operation', { ...films, endpoints: [{ ...film, operationId: 'readBook' }] }],
    [
      'a schema',
      { ...films, endpoints: [{ ...film, responses: { 200: z.object({ id: z.int() }).meta({ id: 'Book' }) } }] },
    ],
  ])('refuses two definitions of %s', (_, other) => {
    expect(() => describeApi(mergeApis([api, other], options))).toThrow();
  });
});

// Compile-time promises: `npm run types` fails when one of these errors goes away.
() => {
  // @ts-expect-error the code is not in the error table
  route('POST /v1/returns', { ...returnBooks.endpoint, errors: ['sold'] });
  // @ts-expect-error an endpoint has no such property
  route('POST /v1/returns', { ...returnBooks.endpoint, boddy: z.string() });
  // @ts-expect-error no route has this method
  route('TRACE /v1/returns', returnBooks.endpoint);
  // @ts-expect-error the status is not declared
  addBook.handle(({ reply }) => reply(200, { id: 'b1', title: 'Emma' }));
  // @ts-expect-error the body lacks its title
  addBook.handle(({ reply }) => reply(201, { id: 'b1' }));
  // @ts-expect-error an anonymous caller has no tenant
  lendBook.handle(({ identity }) => identity.tenantId);
};
