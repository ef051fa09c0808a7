import { describe, expect, test } from '@jest/globals';
import {
  configOf,
  decideByHand,
  knownTo,
  randomCallers,
  randomRoutes,
  recordedRequests,
  requesterOf,
  seeded,
  type Tally,
} from '../../test/kit/recorded-requests.ts';
import type { TestCaller } from '../config/config.ts';
import { parseConfig } from '../config/load.ts';
import { assumedToken } from '../explain/callers.ts';
import { createDryRun } from '../explain/dry-run.ts';
import { loggedPartOf } from '../tokens/logged-caller.ts';
import { createDecideAgain } from './decide-again.ts';
import { type LogLine, readLine } from './log-line.ts';
import { Summary } from './summary.ts';

const newTally = (): Tally => ({ same: 0, changed: 0, unknown: 0, groups: new Map() });

describe('a replay', () => {
  test.each(Array.from({ length: 40 }, (_, seed) => seed))('counts what a brute force counts (seed %i)', (seed) => {
    const random = seeded(seed);
    const [old, next] = [randomRoutes(random), randomRoutes(random)];
    const callers = randomCallers(60, random);
    const tally = newTally();
    const decideAgain = createDecideAgain(configOf(next));
    const summary = new Summary();
    for (const written of recordedRequests(1_000, seed, old, next, callers, tally)) {
      const line = readLine(written);
      if (typeof line === 'string') throw new Error(`${line}: ${written}`);
      summary.add(line, decideAgain(line));
    }
    const { same, changed, unknown } = summary.counts;
    expect([same, changed, unknown]).toEqual([tally.same, tally.changed, tally.unknown]);
    const found = summary.groups.flatMap(
      ({ before, after, role, tenant, requests, callers: count, callers_exact: isExact }) =>
        after === undefined
          ? []
          : [
              [
                [before.route, before.code, before.kind, after.route, after.code, after.kind, role, tenant].join(' '),
                { requests, count, isExact },
              ] as const,
            ],
    );
    const expected = [...tally.groups].map(([key, { requests, callers: who }]) => [
      key,
      { requests, count: who.size, isExact: true },
    ]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  });

  test('uses a model that decides like explain', async () => {
    const random = seeded(7);
    for (let round = 0; round < 10; round += 1) {
      const routes = randomRoutes(random);
      const config = configOf(routes);
      const run = createDryRun(config, () => 0);
      for (const caller of [undefined, ...randomCallers(20, random)]) {
        const request = { method: ['GET', 'POST', 'HEAD'][random(3)] ?? '', name: `r${random(12)}`, tenant: 'acme' };
        const token = caller && requesterOf(caller, config);
        const { route, refusal } = await run({ method: request.method, requestTarget: `/${request.name}/acme`, token });
        const byHand = decideByHand(routes, request, caller, { caller: true, ...knownTo(routes) });
        expect({ request, caller, route: route?.name, code: refusal?.code }).toEqual({
          request,
          caller,
          route: byHand === 'unknown' ? byHand : byHand.route,
          code: byHand === 'unknown' ? byHand : byHand.code,
        });
      }
    }
  });
});

const issuer = 'issuer: "https://id.test", discovery: true, audience: api';
const file = (own: string, rules = 'roles: [agent, user], clients: any', more = '') =>
  parseConfig(
    `version: 1
issuers: [{ ${own} }]
identity: { keys: ./keys }
services: { svc: { keys: ./none.json } }
upstreams: { api: { targets: ["http://127.0.0.1:9"] } }
routes:
  - { name: a, path: "/a/:t", methods: [GET], upstream: api, auth: required, allow: { ${rules} } }
  - { name: open, path: /open, methods: [GET], upstream: api, auth: public }
  - { name: inner, path: /inner, methods: [GET], upstream: api, auth: service, callers: [svc]${more} }
`,
    { file: 'gateway.yaml', env: {} },
  );

describe('a changed issuer', () => {
  const before = file(`${issuer}, machines: {}`, 'roles: [agent, user], clients: any, scopes: [s], claims: { d: [x] }');
  const as = {
    issuer: undefined,
    userId: 'u',
    role: 'agent',
    tenantId: 'acme',
    client: 'web',
    actor: undefined,
    scope: ['s'],
    bound: false,
  };
  const user = { ...as, claims: { d: ['x'] } };
  const machine = { ...as, userId: undefined, client: 'job', role: undefined, tenantId: undefined };
  const lineOf = ({ userId, client, tenantId, ...caller }: TestCaller, more: object = {}): string => {
    const [config] = before.issuers;
    const { claims } = assumedToken({ userId, client, tenantId, ...caller }, config as never, 0);
    const { caller: part } = loggedPartOf({ claims, kid: '', issuer: { config } } as never);
    const ids = { user_id: userId, client_id: client, tenant_id: tenantId };
    const identity = userId === undefined ? 'client' : 'user';
    const request = { request_id: 'id', method: 'GET', path: '/a/acme', ip: '192.0.2.1', route: 'a', rule: 'allow' };
    return JSON.stringify({ ...request, identity, ...ids, caller: part, msg: 'request', ...more });
  };

  test.each<[string, string, TestCaller, string]>([
    ['none', `${issuer}, machines: {}`, user, 'same'],
    ['another issuer', 'issuer: "https://other.test", discovery: true, audience: api', user, 'token_issuer_unknown'],
    ['a list of other OAuth clients', `${issuer}, clients: [cli]`, user, 'token_client_refused'],
    ['a list of OAuth clients', `${issuer}, clients: [web]`, user, 'same'],
    ['no machines', issuer, machine, 'token_machine_refused'],
    ['other roles', `${issuer}, roles: [admin]`, user, 'token_role_refused'],
    [
      'roles, for a machine without one',
      `${issuer}, machines: {}, roles: [agent], tenants: [acme]`,
      machine,
      'insufficient_role',
    ],
    ['other tenants', `${issuer}, tenants: [globex]`, user, 'token_tenant_refused'],
    ['another role claim', `${issuer}, claims: { role: groups }`, user, 'the role, which is read differently'],
    ['one role for all', `${issuer}, claims: { role: { constant: user } }`, user, 'same'],
    ['another role for all', `${issuer}, claims: { role: { constant: x } }`, user, 'insufficient_role'],
    [
      'another tenant claim',
      `${issuer}, tenants: [acme], claims: { tenantId: org }`,
      user,
      'the tenant, which is read differently',
    ],
    ['another tenant claim that no rule reads', `${issuer}, claims: { tenantId: org }`, user, 'same'],
    ['another client claim', `${issuer}, claims: { client: cid }`, user, 'the OAuth client, which is read differently'],
  ])('%s', (_what, own, caller, expected) => {
    const outcome = createDecideAgain(file(own))(readLine(lineOf(caller)) as LogLine);
    expect(outcome.is === 'changed' ? outcome.after.code : outcome.is === 'unknown' ? outcome.lacks : outcome.is).toBe(
      expected,
    );
  });

  test.each<[string, string, object, string]>([
    ['another scope claim', 'scopes: [s], clients: any', {}, 'the scopes, which are read differently'],
    ['a new scope', 'scopes: [t]', {}, 'the scope t'],
    ['a new claim', 'claims: { e: [x] }', {}, 'the claim e'],
    ['a known claim', 'claims: { d: [y] }', {}, 'claim_not_allowed'],
    [
      'a line of an earlier version',
      'roles: [agent]',
      { caller: undefined },
      'the caller: an earlier version wrote the line',
    ],
    ['a path that may be cut', 'roles: [agent]', { path: `/a/${'a'.repeat(1021)}` }, 'the path after 1024 characters'],
    [
      'a recorded public route',
      'roles: [agent]',
      { route: 'p', rule: 'auth: public', identity: 'anonymous', caller: undefined },
      'the token, which the gateway did not read',
    ],
    [
      'a target of an earlier version',
      'roles: [agent]',
      { route: undefined, rule: undefined, identity: undefined, code: 'invalid_target' },
      'the part of the URL that was at fault',
    ],
    [
      'a query at fault',
      'roles: [agent]',
      { route: undefined, identity: undefined, code: 'invalid_target', detail: { part: 'query' } },
      'same',
    ],
    ['a long target', 'roles: [agent]', { route: undefined, identity: undefined, code: 'uri_too_long' }, 'same'],
    ['a caller who left', 'roles: [agent]', { identity: undefined, rule: undefined }, 'undecided'],
    [
      'a service without a user',
      'roles: [agent]',
      {
        listener: 'internal',
        path: '/inner',
        route: 'inner',
        identity: 'service',
        service_id: 'svc',
        caller: undefined,
      },
      'same',
    ],
    [
      'an internal path on the public listener',
      'roles: [agent]',
      { path: '/inner', route: 'inner', identity: 'service', service_id: 'svc' },
      'no_route',
    ],
    [
      'another service',
      'roles: [agent]',
      { listener: 'internal', path: '/inner', route: 'inner', identity: 'service', service_id: 'x' },
      'caller_not_allowed',
    ],
    [
      'a user of a service',
      'roles: [agent]',
      {
        listener: 'internal',
        path: '/inner',
        route: 'inner',
        identity: 'service',
        service_id: 'svc',
        transaction_id: 't',
      },
      'insufficient_role',
    ],
  ])('%s', (what, rules, more, expected) => {
    const own = what === 'another scope claim' ? `${issuer}, claims: { scope: scp }` : issuer;
    const inner = what === 'a user of a service' ? ', allow: { roles: [admin] }' : '';
    const outcome = createDecideAgain(file(own, rules, inner))(readLine(lineOf(user, more)) as LogLine);
    expect(outcome.is === 'changed' ? outcome.after.code : outcome.is === 'unknown' ? outcome.lacks : outcome.is).toBe(
      expected,
    );
  });
});

describe('a line', () => {
  const good = { msg: 'request', ip: '192.0.2.1', request_id: 'a', method: 'GET', path: '/' };

  test.each<[string, unknown]>([
    ['broken', '{"msg":'],
    ['broken', { ...good, path: 7 }],
    ['broken', { ...good, caller: {} }],
    ['broken', { ...good, identity: 'root' }],
    ['broken', { ...good, caller: { iss: 'a', mapping: 'b', claims: { c: 'd' } } }],
    ['other', ''],
    ['other', '7'],
    ['other', 'null'],
    ['other', { ...good, ip: undefined }],
    ['other', { ...good, msg: 'gateway is ready' }],
  ])('is %s: %j', (expected, line) => {
    expect(readLine(typeof line === 'string' ? line : JSON.stringify(line))).toBe(expected);
  });
});

test('keeps its memory bounded, and says that counts are lower bounds', () => {
  const summary = new Summary();
  const decision = { route: 'a', code: undefined, kind: undefined };
  const outcome = { is: 'changed', before: decision, after: { ...decision, code: 'x' } } as const;
  for (let index = 0; index < 220_000; index += 1) {
    const line = {
      request_id: `${index}`,
      method: 'GET',
      path: '/',
      user_id: `u${index}`,
      tenant_id: `t${index % 20_000}`,
    };
    summary.add(line as LogLine, outcome);
  }
  const { groups } = summary;
  expect(groups).toHaveLength(10_001);
  expect(groups[0]).toMatchObject({ role: '*', tenant: '*', requests: 110_000, callers_exact: false });
  expect(groups.reduce((sum, { callers }) => sum + callers, 0)).toBe(200_000);
  expect(groups.reduce((sum, { requests }) => sum + requests, 0)).toBe(220_000);
});
