import { connect } from 'node:net';
import { consoleRoutes, views } from '@countersign/console';
import { createServiceServer, listen } from '@countersign/process-kit';
import { eventually, rawRequest, type UpstreamOptions } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { z } from 'zod';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const csp =
  "default-src 'none';style-src 'self';script-src 'self';img-src 'self';connect-src 'self';form-action 'self';base-uri 'none';frame-ancestors 'none'";
const pagePaths = [
  ...[
    '/',
    '/console/routes',
    '/console/routes/:name',
    '/console/requests',
    '/console/requests/:id',
    '/console/explain',
  ],
  ...['/console/upstreams', '/console/issuers', '/console/revocations', '/console/limits', '/console/reloads'],
  ...['/console/certificates', '/console/workers'],
];
const secretQuery = 'hunter2-in-the-query';

describe('the console', () => {
  let gateway: GatewayUnderTest;
  let origin: string;
  let token: string;
  let refusedId: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest();
    origin = `http://127.0.0.1:${gateway.running.ports.admin}`;
    token = await gateway.issuer.accessToken({ role: 'agent' });
    await gateway.ask(`/v1/things/1?password=${secretQuery}`, { token });
    for (let count = 0; count < 4; count += 1) await gateway.ask('/v1/limited');
    await gateway.raw('GET /<script>alert(1)</script> HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n');
    await gateway.ask('/v1/admin', { token });
    const { requests } = await json('/api/requests?code=insufficient_role');
    refusedId = requests[0].id;
  });
  afterAll(() => gateway.close());

  const json = async (path: string) => JSON.parse(await (await fetch(origin + path)).text());
  let pages = 0;
  /**
   * A rendered page is reused for a second by its URL. Additional separators make a different URL with the same query.
   */
  const page = async (path: string) => {
    pages += 1;
    return (await fetch(`${origin}${path}${path.includes('?') ? '' : '?'}${'&'.repeat(pages)}`)).text();
  };
  const filled = (path: string) => path.replace(':name', 'things').replace(':id', refusedId);
  const explain = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(`${origin}/console/explain`, { method: 'POST', body: new URLSearchParams(fields), headers });

  test.each(pagePaths)('%s is a page that runs no script of its own', async (path) => {
    const response = await fetch(origin + filled(path));
    const text = await response.text();
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(response.headers.get('content-security-policy')).toBe(csp);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(text).not.toMatch(/<script(?! type="module" src="\/console\/assets\/console\.js\?v=[\w-]+"><\/script>)/);
    expect(text).not.toMatch(/<style| style=|<[^>]+ on\w+=|(?:src|href)="(?!\/|#)/);
  });

  test.each(views.map((view) => [view.path, view] as const))('%s responds as it is described', async (path, view) => {
    const schema = view.responses[200] as z.ZodType;
    const body = await json(filled(path));
    expect(schema.parse(body)).toEqual(body);
  });

  test.each(views.map(({ path }) => path))('%s refuses an unknown name in its query', async (path) => {
    const found = async (query: string) => {
      const response = await fetch(origin + filled(path) + query);
      return [response.status, JSON.parse(await response.text()).errors?.map((error: { path: string }) => error.path)];
    };
    expect(await found('?usr=user-1')).toEqual([422, ['usr']]);
    expect(await found('?usr=')).toEqual([422, ['usr']]);
    expect(await found('?worker=')).toEqual([200, undefined]);
    expect((await found('?worker=1'))[0]).toBe(404);
    expect(await found('?worker=one')).toEqual([422, ['worker']]);
  });

  test('finds requests by the time at which they ended', async () => {
    const { requests } = await json('/api/requests');
    const [newest, oldest] = [requests[0].at, requests.at(-1).at];
    const found = async (query: Record<string, string>) =>
      (await json(`/api/requests?${new URLSearchParams(query)}`)).requests.map(({ at }: { at: string }) => at);
    const all = requests.map(({ at }: { at: string }) => at);
    expect(newest > oldest).toBe(true);
    expect(await found({ since: oldest })).toEqual(all);
    expect(await found({ until: oldest })).toEqual([]);
    expect(await found({ until: newest })).toEqual(all.filter((at: string) => at < newest));
    // The same time, two hours east.
    const east = new Date(Date.parse(newest) + 7_200_000).toISOString().replace('Z', '+02:00');
    expect(await found({ since: east })).toEqual(all.filter((at: string) => at >= newest));
    for (const query of ['since=yesterday', 'until=2026-01-01', 'since=2026-01-01T00:00:00']) {
      const response = await fetch(`${origin}/api/requests?${query}`);
      expect([query, response.status]).toEqual([query, 422]);
    }
    expect(await page(`/console/requests?since=${oldest}`)).toContain(`id="since" value="${oldest}"`);
  });

  test('the description names every route of the API', async () => {
    const { openapi, paths } = await json('/api/openapi.json');
    const described = views.map(({ path }) => path.replaceAll(/:(\w+)/g, '{$1}'));
    expect([openapi, Object.keys(paths).sort()]).toEqual(['3.1.1', [...described, '/api/explain'].sort()]);
  });

  test('serves its own style sheet, script and icon', async () => {
    const [, ...urls] = [...(await page('/')).matchAll(/(?:src|href)="(\/console\/assets\/[^"]+)"/g)].map(
      ([, url]) => url,
    );
    for (const url of urls) {
      const { status, headers } = await fetch(origin + url);
      expect([status, headers.get('cache-control')]).toEqual([200, 'public, max-age=31536000, immutable']);
    }
  });

  test('shows why a request got 403', async () => {
    const text = await page(`/console/requests/${refusedId}`);
    expect(text).toContain('<code>insufficient_role</code>');
    expect(text).toContain('allow.roles: admin');
    expect(text).toContain('the caller&#39;s role is agent');
    expect(text.match(/<code>allow\.roles: admin<\/code>/g)).toHaveLength(1);
    expect(text).toContain('>Decide and refuse<');
    expect(text).not.toContain('>Wait for the service<');
    expect(await json(`/api/requests/${refusedId}`)).toMatchObject({ status: 403, route: 'admin', target: null });
  });

  test('gives requests in the same second different titles', async () => {
    const { requests } = await json('/api/requests');
    const two: { id: string }[] = requests.slice(0, 2);
    const titles = await Promise.all(
      two.map(async ({ id }) => /<h1>(.*)<\/h1>/.exec(await page(`/console/requests/${id}`))?.[1]),
    );
    expect(titles).toEqual(two.map(({ id }) => `Request …${id.slice(-8)}`));
    expect(new Set(titles).size).toBe(2);
  });

  test('finds a request by an id with spaces around it', async () => {
    const { requests } = await json(`/api/requests?id=%20${refusedId}%20&status=+403`);
    expect(requests).toMatchObject([{ id: refusedId }]);
    expect(await page(`/console/requests?id=+${refusedId}%0a`)).toContain(`value="${refusedId}"`);
  });

  test('counts the requests and refusals of a route', async () => {
    const { route, refusals, traffic } = await json('/api/routes/limited');
    expect(route).toMatchObject({ requests: 4, refused: 1, rules: ['auth: public'] });
    expect(refusals).toMatchObject([{ code: 'rate_limited', fault: 'caller', count: 1 }]);
    expect(traffic.last_hour).toMatchObject({ requests: 4, failures: { caller: 1 } });
    const { requests } = await json('/api/requests?code=rate_limited');
    expect(await page(`/console/requests/${requests[0].id}`)).toContain('Explain ignores rate limits');
    const text = await page('/console/routes/limited');
    expect(text).toContain('<p class="big">0 % ');
    expect(text).toContain('0 in the last hour, 0 %. Excludes 1 that were the caller&#39;s fault');
  });

  test("keeps the gateway's own responses apart from requests without a route", async () => {
    const before = await json('/api/routes');
    await fetch(`http://127.0.0.1:${gateway.running.ports.internal}/.well-known/jwks.json`);
    await gateway.ask('/nothing/here');
    expect((await json('/api/routes')).unmatched).toBe(before.unmatched + 1);
    const rows = (await page('/console/requests')).split('<tr ');
    expect(rows.find((row) => row.includes('/.well-known/jwks.json'))).toContain('the gateway itself');
    expect(rows.find((row) => row.includes('/nothing/here'))).toContain('>none<');
  });

  test("shows how old the gateway's keys are", async () => {
    const { gateway_keys } = await json('/api/issuers');
    expect(gateway_keys).toMatchObject([{ algorithm: 'Ed25519', state: 'in use', until: null }]);
    const ageMs = Date.now() - Date.parse(gateway_keys[0].from);
    expect([ageMs >= 60_000, ageMs < 600_000]).toEqual([true, true]);
    expect(await page('/console/issuers')).toContain(`<code>${gateway_keys[0].kid}</code>`);
  });

  test('shows the callers that have reached a limit', async () => {
    const { callers } = await json('/api/limits');
    expect(callers).toMatchObject([{ route: 'limited', limit: 'address', ip: '127.0.0.1', refused: 1, now: true }]);
  });

  test('refuses readers if too many wait, and keeps serving requests', async () => {
    const all = Array.from({ length: 60 }, (_, at) => fetch(`${origin}/console/requests?id=${at}`));
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    const answers = await Promise.all(all);
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(17);
    expect(refused.length).toBe(60 - answers.filter(({ status }) => status === 200).length);
    expect(refused[0]?.headers.get('retry-after')).toBe('1');
    expect(JSON.parse(await (refused[0] as Response).text())).toMatchObject({ code: 'console_busy' });
    await eventually(async () => expect((await fetch(`${origin}/api/requests`)).status).toBe(200));
  });

  test('renders a page once a second for all who read it', async () => {
    const read = async () => {
      await gateway.ask('/v1/things/1', { token });
      return (await fetch(`${origin}/console/requests?route=things`)).text();
    };
    const first = await read();
    expect(await read()).toBe(first);
    await eventually(async () => expect(await read()).not.toBe(first));
  });

  test('escapes what clients send', async () => {
    const text = await page('/console/requests');
    expect(text).toContain('/&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).not.toContain('<script>alert');
  });

  test('shortens a long path in a list, and shows all of it on its own page', async () => {
    const path = `/nothing/${'long'.repeat(250)}`;
    await gateway.ask(path);
    const { requests } = await json('/api/requests?code=no_route');
    const listed = requests.find((one: { path: string }) => one.path.startsWith('/nothing/long'));
    expect(listed.path).toBe(`${path.slice(0, 255)}…`);
    expect(await page('/console/requests')).not.toContain(path.slice(0, 257));
    expect((await json(`/api/requests/${listed.id}`)).path).toBe(path);
    expect(await page(`/console/requests/${listed.id}`)).toContain(path);
  });

  test('escapes every text on every page', async () => {
    const hostile = `"'><img src=x onerror=alert(1)>\u202e`;
    const poison = (value: unknown, name = ''): unknown => {
      if (name === 'worker') return 1;
      // Times are the gateway's own.
      if (typeof value === 'string') return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? value : hostile;
      if (Array.isArray(value)) return value.map((one) => poison(one));
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, poison(inner, key)]));
    };
    const app = express().use(
      consoleRoutes({
        api: {
          read: async ({ path }) => poison(await json(filled(path))) as never,
          explain: () => Promise.reject(new Error('no page of the list asks')),
        },
        inTurn: (work) => work(),
        version: hostile,
        nowMs: Date.now,
      }),
    );
    const server = createServiceServer(app);
    const port = await listen(server, { host: '127.0.0.1', port: 0 }, 'console');
    const fields = { q: hostile, user: hostile, path: hostile, headers: hostile, worker: '1' };
    for (const path of pagePaths) {
      const response = await fetch(`http://127.0.0.1:${port}${filled(path)}?${new URLSearchParams(fields)}`);
      const text = await response.text();
      expect([path, text.includes('<img src=x'), text.includes(`"'>`), text.includes('\u202e')]).toEqual([
        path,
        false,
        false,
        false,
      ]);
      expect([path, response.status, text.includes('&lt;img src=x')]).toEqual([path, 200, true]);
    }
    server.close();
    server.closeAllConnections();
  });

  test('contains no query and no token', async () => {
    for (const { path } of views) {
      const text = JSON.stringify(await json(filled(path)));
      expect([path, text.includes(secretQuery), text.includes(token)]).toEqual([path, false, false]);
    }
    for (const path of pagePaths) {
      const text = await page(filled(path));
      expect([path, text.includes(secretQuery), text.includes(token)]).toEqual([path, false, false]);
    }
  });

  test('explains a request with a token, which it neither shows nor logs', async () => {
    const answer = await explain({ method: 'get', path: '/v1/admin', token });
    const text = await answer.text();
    expect(answer.status).toBe(200);
    expect(text).toContain('allow.roles: admin');
    expect(text).toContain('insufficient_role');
    const signature = token.slice(token.lastIndexOf('.') + 1);
    expect(text).not.toContain(signature);
    expect(gateway.log.text()).not.toContain(signature);
  });

  test("explains with the gateway's own keys and revocations", async () => {
    const ask = async (question: Record<string, unknown>) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${origin}/api/explain`, { method: 'POST', body: JSON.stringify(question), headers });
      return JSON.parse(await answer.text());
    };
    const allowed = await ask({ method: 'GET', path: '/v1/things/1', token });
    expect(allowed.outcome).toMatchObject({ allowed: true, code: null });
    expect(allowed.sends.headers.map(([name]: [string]) => name)).toEqual(
      expect.arrayContaining(['x-user-id', 'signature']),
    );
    const forged = await ask({ method: 'GET', path: '/v1/things/1', token: `${token.slice(0, -8)}AAAAAAAA` });
    expect(forged.outcome).toMatchObject({ allowed: false, status: 401, code: 'token_signature_invalid' });
    expect(forged.stages.map(({ verdict }: { verdict: string }) => verdict)).toEqual([
      ...['passes', 'passes', 'passes', 'refuses'],
      ...['not reached', 'not reached', 'not reached', 'not reached'],
    ]);
    const assumed = await ask({ method: 'GET', path: '/v1/admin', role: 'admin' });
    expect(assumed.outcome.allowed).toBe(true);
  });

  test('names the field of the form that is wrong, and keeps the others', async () => {
    const answer = await explain({ method: 'GET', path: '/v1/things/<1>', tenant: 'acme', token: '' });
    const text = await answer.text();
    expect(answer.status).toBe(422);
    expect(text).toContain('id="role-error"');
    expect(text).toContain('value="/v1/things/&lt;1&gt;"');
    expect(text.match(/<\w+[^>]* id="answer"/g)).toEqual(['<p class="error" id="answer"']);
  });

  test('keeps the header lines as they were typed', async () => {
    const text = await (await explain({ method: 'GET', path: '/', headers: 'x-a: 1\r\nx-b:\t2' })).text();
    expect(text).toContain('>x-a: 1\nx-b:&#x9;2</textarea>');
  });

  test('refuses headers that are not lines of "Name: value" without delay, however long they are', async () => {
    const startedAt = process.cpuUsage();
    const body = JSON.stringify({ method: 'GET', path: '/', headers: `a:${' '.repeat(60_000)}\u0001` });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${origin}/api/explain`, { method: 'POST', body, headers });
    const { user } = process.cpuUsage(startedAt);
    expect(answer.status).toBe(422);
    expect(user / 1_000).toBeLessThan(1_000);
  });

  async function statusFor(method: string, path: string, fields: Readonly<Record<string, string>>) {
    const own = { host: origin.slice(7), connection: 'close', 'content-length': '0' };
    const head = Object.entries({ ...own, ...fields }).map(([name, value]) => `${name}: ${value}\r\n`);
    const bytes = `${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n`;
    const { status, code } = parseAnswer(await rawRequest(gateway.running.ports.admin, bytes));
    return code === undefined ? status : `${status} ${code}`;
  }
  const link = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

  test.each([
    ['a form of another origin', 'POST', { origin: 'https://evil.test' }],
    ['a form of an opaque origin', 'POST', { origin: 'null' }],
    ['a form of another site', 'POST', { ...link, 'sec-fetch-site': 'cross-site' }],
    ['a form on a sibling site', 'POST', { ...link, 'sec-fetch-site': 'same-site' }],
    ['a script of another origin', 'GET', { origin: 'https://evil.test' }],
    ['a script of another site', 'GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }],
    ['an image of another site', 'GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }],
    ['a frame of another site', 'GET', { 'sec-fetch-site': 'cross-site', ...link, 'sec-fetch-dest': 'iframe' }],
  ])('refuses %s', async (_case, method, fields) => {
    for (const path of ['/console/explain', '/api/explain', '/api/requests', '/metrics']) {
      expect([path, await statusFor(method, path, fields)]).toEqual([path, '403 origin_not_allowed']);
    }
  });

  test.each([
    ['a link of another site', 'GET', '/console/requests', { 'sec-fetch-site': 'cross-site', ...link }, 200],
    ['an address that is typed in', 'GET', '/', { 'sec-fetch-site': 'none', ...link }, 200],
    ['its own script', 'GET', '/', { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }, 200],
    // A proxy in front of the listener may speak TLS.
    [
      'its own form',
      'POST',
      '/console/explain',
      { 'sec-fetch-site': 'same-origin', origin: 'https://console.test' },
      422,
    ],
  ])('answers to %s', async (_case, method, path, fields, status) => {
    expect(await statusFor(method, path, fields)).toBe(status);
  });

  test.each(['/', '/console/requests', '/console/explain', '/api/requests', '/api/openapi.json'])(
    'does not serve %s under another name',
    async (path) => {
      const bytes = `GET ${path} HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n`;
      expect(parseAnswer(await rawRequest(gateway.running.ports.admin, bytes)).status).toBe(421);
    },
  );

  test.each([
    ['POST', '/', 'GET, HEAD'],
    ['DELETE', '/console/routes/things', 'GET, HEAD'],
    ['PUT', '/api/requests', 'GET, HEAD'],
    ['PUT', '/console/explain', 'GET, HEAD, POST'],
    ['GET', '/api/explain', 'POST'],
  ])('refuses %s %s', async (method, path, allow) => {
    const { status, headers } = await fetch(origin + path, { method });
    expect([status, headers.get('allow')]).toEqual([405, allow]);
  });

  test.each(['/console/routes/none', '/console/requests/none', '/api/routes/none', '/api/requests/none', '/console/x'])(
    'has nothing at %s',
    async (path) => expect((await fetch(origin + path)).status).toBe(404),
  );

  test.each([
    ['/console/requests/none', 'Search the log for none.'],
    ['/console/routes/none', 'has no route none.'],
    ['/console/requets', 'no page at this address'],
    ['/console', 'no page at this address'],
  ])('%s is a page with the navigation, and explains why there is nothing', async (path, why) => {
    const response = await fetch(origin + path);
    const text = await response.text();
    expect([response.status, response.headers.get('cache-control')]).toEqual([404, 'no-store']);
    expect(text).toContain(why);
    expect(text).toContain('<a href="/console/requests" >Requests</a>');
  });

  test.each([
    ['/requests?outcome=odd', 'outcome', 'must be one of refused, failed, served'],
    ['/requests?status=40x', 'status', 'must be a status such as 403, or a class such as 4xx'],
    ['/routes?offset=-1', 'offset', 'must be a whole number'],
    ['/routes?offset=1e3', 'offset', 'must be a whole number'],
  ])('refuses %s, in the API and as a page', async (address, path, message) => {
    const refused = await fetch(`${origin}/api${address}`);
    expect([refused.status, JSON.parse(await refused.text()).errors]).toEqual([422, [{ path, message }]]);
    const response = await fetch(`${origin}/console${address}`);
    expect([response.status, response.headers.get('content-type')]).toEqual([422, 'text/html; charset=utf-8']);
    const text = await response.text();
    expect(text).toContain(`<code>${path}</code> ${message}.`);
    expect(text).toContain(`<a href="/console${address.split('?')[0]}">Show all</a>`);
  });

  test('treats an empty filter as no filter', async () => {
    expect((await json('/api/requests?outcome=&status=&route=')).requests.length).toBeGreaterThan(0);
  });

  test('shows the last page of routes for an offset past the end', async () => {
    const { total } = await json('/api/routes');
    expect(await json('/api/routes?offset=999999999')).toMatchObject({ offset: 0, total });
    expect(await page('/console/routes?offset=999999999')).not.toContain('No route contains this text');
    expect(await json('/api/routes?q=none-such&offset=7')).toMatchObject({ offset: 0, total: 0, routes: [] });
  });

  test('still shows why a request got 403 after many anonymous requests without a route', async () => {
    for (let count = 0; count < 26; count += 1) {
      await Promise.all(Array.from({ length: 20 }, (_, at) => gateway.ask(`/nothing/${count * 20 + at}`)));
    }
    expect(await json(`/api/requests/${refusedId}`)).toMatchObject({ code: 'insufficient_role' });
    const { requests } = await json('/api/requests?code=insufficient_role');
    expect(requests.map(({ id }: { id: string }) => id)).toEqual([refusedId]);
  });

  test('shows the problems of a refused file, and the changes of an applied one', async () => {
    await expect(gateway.reload([['path: /v1/admin', 'path: v1/admin']])).rejects.toThrow();
    const refused = await json('/api/reloads');
    expect(refused.reloads[0]).toMatchObject({
      result: 'refused',
      problems: [expect.stringContaining('gateway.yaml:')],
    });
    await gateway.reload([['path: /v1/admin', 'path: /v1/administration']]);
    const applied = await json('/api/reloads');
    expect(applied.reloads[0]).toMatchObject({
      result: 'applied',
      changed_routes: 1,
      changes: [
        {
          route: 'admin',
          change: 'changed',
          keys: [{ key: 'path', before: '"/v1/admin"', after: '"/v1/administration"' }],
        },
      ],
    });
    expect(await page('/console/reloads')).toContain('+</span> path: &quot;/v1/administration&quot;');
  });
});

test('without the console, its addresses do not exist, and the other endpoints stay', async () => {
  const gateway = await gatewayUnderTest({
    edits: [['trustedProxies: []', 'trustedProxies: []\nadmin: { console: false }']],
  });
  const statusOf = async (path: string) => (await gateway.admin(path)).status;
  for (const path of ['/', '/console/requests', '/console/assets/console.css', '/api/requests', '/api/openapi.json']) {
    expect([path, await statusOf(path)]).toEqual([path, 404]);
  }
  for (const path of [
    '/config',
    '/routes',
    '/upstreams',
    '/metrics',
    '/healthz',
    '/readyz',
    '/.well-known/jwks.json',
  ]) {
    expect([path, await statusOf(path)]).toEqual([path, 200]);
  }
  await gateway.close();
});

test('groups the last refusals by route and code, so that one flood hides no others', async () => {
  const gateway = await gatewayUnderTest();
  await gateway.ask('/v1/admin', { token: await gateway.issuer.accessToken({ role: 'agent' }) });
  await gateway.ask('/nothing');
  for (let count = 0; count < 303; count += 1) await gateway.ask('/v1/limited');
  const { refusals } = JSON.parse(await (await gateway.admin('/api/refusals')).text());
  expect(refusals).toMatchObject([
    { route: 'limited', code: 'rate_limited', status: 429, count: 300 },
    { route: null, code: 'no_route', count: 1 },
    {
      route: 'admin',
      code: 'insufficient_role',
      fault: 'caller',
      count: 1,
      title: 'Your role does not allow this action.',
    },
  ]);
  const text = await (await gateway.admin('/')).text();
  expect(text).toContain('href="/console/requests?route=admin&amp;code=insufficient_role"');
  expect(text.match(/code=rate_limited/g)).toHaveLength(1);
  await gateway.close();
});

test('shows a request whose client disconnected as it was logged, not as refused', async () => {
  const answer: UpstreamOptions['answer'] = ({ target }, res) => {
    if (target === '/v1/open/events') res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
  };
  const gateway = await gatewayUnderTest({ upstream: { answer } });
  const leave = async (path: string, isStarted: () => boolean) => {
    const client = connect(gateway.port, '127.0.0.1');
    let text = '';
    client.on('data', (chunk) => {
      text += chunk;
    });
    client.write(`GET ${path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n`);
    await eventually(() => expect(isStarted() || text.includes('data: 1')).toBe(true));
    client.destroy();
    await eventually(() => expect(gateway.upstream.underWay()).toBe(0));
  };
  await leave('/v1/open/events', () => false);
  await leave('/v1/open/hang', () => gateway.upstream.requests.length === 2);
  const { requests } = JSON.parse(await (await gateway.admin('/api/requests')).text());
  const left = requests.filter(({ path }: { path: string }) => path.startsWith('/v1/open/'));
  expect(left).toMatchObject([
    { path: '/v1/open/hang', status: 0, aborted: true, code: null, detail: {} },
    { path: '/v1/open/events', status: 200, aborted: true, code: null, detail: {} },
  ]);
  const text = await (await gateway.admin(`/console/requests/${left[0].id}`)).text();
  expect(text).toContain('<p class="card verdict quiet">The client disconnected before a response started.');
  await gateway.close();
});

test('counts the refused tokens of an issuer that has a name, and shows whose they were', async () => {
  const gateway = await gatewayUnderTest({
    edits: [['audience: complaints-api', 'audience: complaints-api\n    name: main']],
  });
  const read = async (path: string) => JSON.parse(await (await gateway.admin(path)).text());
  const elsewhere = await gateway.issuer.accessToken({ sub: 'user-1', aud: 'elsewhere' });
  const ended = await gateway.issuer.accessToken({ sub: 'user-2', sid: 'session-2' });
  gateway.issuerServer.revoke(feedItem('session', { sid: 'session-2' }));
  await eventually(async () => expect((await read('/api/revocations')).issuers).toMatchObject([{ held: 1 }]));
  for (const token of [elsewhere, ended]) expect((await gateway.ask('/v1/things/1', { token })).status).toBe(401);
  const { issuers, unknown } = await read('/api/issuers');
  expect([unknown, issuers[0].refused]).toEqual([
    [],
    [
      { name: 'token_audience_refused', count: 1 },
      { name: 'token_revoked', count: 1 },
    ],
  ]);
  const page = await (await gateway.admin('/console/issuers')).text();
  expect(page).toContain('<dt>Tokens verified</dt><dd>0</dd>');
  expect(page).toContain('<dt>Not cached, so verified</dt><dd>2</dd>');
  const { requests } = await read('/api/requests?status=401');
  const { issuer } = gateway.issuer;
  expect(requests).toMatchObject([
    { code: 'token_revoked', detail: { issuer, subject: 'user-2' }, user_id: null },
    { code: 'token_audience_refused', detail: { issuer, subject: 'user-1' }, user_id: null },
  ]);
  expect((await read('/api/requests?user=user-2')).requests).toMatchObject([{ code: 'token_revoked' }]);
  expect((await read('/api/requests?user=user-3')).requests).toEqual([]);
  const text = await (await gateway.admin(`/console/requests/${requests[0].id}`)).text();
  expect(text).toContain('Token subject');
  await gateway.close();
});

test('shows no value of a variable in the URLs of an issuer', async () => {
  const query = '?apikey=\u0024{HASHED_SECRET}';
  const gateway = await gatewayUnderTest({
    edits: [
      ['/jwks.json"', `/jwks.json${query}"`],
      ['/internal/revocations"', `/internal/revocations${query}"`],
    ],
  });
  const read = async (path: string) => (await gateway.admin(path)).text();
  const token = await gateway.issuer.accessToken();
  expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
  const unknown = token.replace(/^[^.]+/, (head) => {
    const header = JSON.parse(Buffer.from(head, 'base64url').toString());
    return Buffer.from(JSON.stringify({ ...header, kid: 'unknown' })).toString('base64url');
  });
  const explained = await fetch(`http://127.0.0.1:${gateway.running.ports.admin}/api/explain`, {
    method: 'POST',
    body: JSON.stringify({ method: 'GET', path: '/v1/things/1', token: unknown }),
    headers: { 'content-type': 'application/json' },
  });
  const { url } = gateway.issuerServer;
  const { issuers } = JSON.parse(await read('/api/issuers'));
  expect(issuers).toMatchObject([{ source: `${url}/jwks.json${query}` }]);
  expect(JSON.parse(await read('/api/revocations')).issuers).toMatchObject([
    { source: `${url}/internal/revocations${query}` },
  ]);
  const texts = [await explained.text(), gateway.log.text()];
  expect(texts[0]).toContain(`a key at ${url}/jwks.json${query}`);
  const paths = [...views.map(({ path }) => path), ...pagePaths];
  for (const path of ['/config', '/routes', '/upstreams', '/metrics', ...paths])
    texts.push(await read(path.replace(':name', 'things')));
  expect(texts.filter((text) => text.includes(gateway.hmacSecret))).toEqual([]);
  await gateway.close();
});
