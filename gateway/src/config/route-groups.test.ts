import { describe, expect, test } from '@jest/globals';
import { exampleConfig, exampleHead } from '../../test/kit/example-config.ts';
import { problemsOf } from '../../test/kit/problems-of.ts';

const complaints = `routes:
  - name: complaints
    path: /v1/complaints
    upstream: users-service
    auth: required
    allow: { roles: [complainant, agent, admin] }
    limits: [{ requests: 600, per: 1m, by: user }]
    body: { maxBytes: 16KiB }
    routes:
      - { path: "", methods: [GET, POST] }
      - { path: "/:id", methods: [GET, PATCH] }
      - { path: "/:id/assign", methods: [POST], allow: { roles: [agent, admin] } }
      - { name: files, path: "/:id/attachments/**", methods: [GET], limits: [], body: { mode: none } }
`;
/** A group without a name that contains two groups. */
const nested = `routes:
  - upstream: users-service
    auth: required
    routes:
      - path: /v1
        routes:
          - { name: users, path: /users, auth: public, routes: [{ path: /:id, methods: [GET] }] }
          - { path: /me, methods: [GET] }
      - { name: top, path: /top, methods: [GET] }
`;

const table = (yaml: string) =>
  exampleConfig(yaml).routes.map(({ name, methods, path, auth }) => `${name} ${methods} ${path} ${auth}`);

describe('a group of routes', () => {
  test('passes its keys on to its routes, and prefixes their paths and names', () => {
    expect(table(complaints)).toEqual([
      'complaints GET,POST /v1/complaints required',
      'complaints-id GET,PATCH /v1/complaints/:id required',
      'complaints-id-assign POST /v1/complaints/:id/assign required',
      'complaints-files GET /v1/complaints/:id/attachments/** required',
    ]);
  });

  test('nests at most three deep, and needs neither a name nor a path', () => {
    expect(table(nested)).toEqual([
      'users-id GET /v1/users/:id public',
      'v1-me GET /v1/me required',
      'top GET /top required',
    ]);
    const deeper = nested
      .replace('{ path: /:id, methods', '{ path: /:id, routes: [{ path: "", methods')
      .replace('GET] }] }', 'GET] }] }] }');
    expect(problemsOf(exampleHead + deeper)).toEqual([
      'gateway.yaml:16:87: routes[0].routes[0].routes[0].routes[0].routes: groups may nest at most 3 deep',
    ]);
  });

  test('has its key replaced as a whole by a route that sets the same key', () => {
    const [list, , assign, files] = exampleConfig(complaints).routes;
    expect(list?.allow.roles).toEqual(['complainant', 'agent', 'admin']);
    expect(assign?.allow).toEqual({ roles: ['agent', 'admin'] });
    expect([list?.limits.length, files?.limits.length]).toEqual([1, 0]);
    expect([list?.body, files?.body]).toEqual([
      { mode: 'digest', maxBytes: 16 * 1024 },
      { mode: 'none', maxBytes: 1024 * 1024 },
    ]);
  });

  test('is named as the source of the keys that a route inherits', () => {
    const [list, , , files] = exampleConfig(complaints).routes;
    const at = '/etc/countersign/gateway.yaml:11:5';
    expect(list?.inherited).toEqual([
      { group: 'complaints', keys: ['upstream', 'auth', 'allow', 'limits', 'body'], at },
    ]);
    expect(files?.inherited).toEqual([{ group: 'complaints', keys: ['upstream', 'auth', 'allow'], at }]);
  });
});

describe('problems in groups', () => {
  test.each([
    [
      'its value once',
      'requests: 600',
      'requests: many',
      ['16:26: routes[0].limits[0].requests: must be a whole number'],
    ],
    [
      'an unknown key once',
      'auth: required',
      'auth: required\n    colour: red',
      ['15:5: routes[0]: unknown key "colour"'],
    ],
    [
      'a missing key, at the route',
      '    auth: required\n',
      '',
      [18, 19, 20, 21].map((line, at) => `${line}:9: routes[0].routes[${at}]: "auth" is required`),
    ],
    ['a missing path', '{ path: "", ', '{ ', ['19:9: routes[0].routes[0]: "path" is required']],
    [
      'a conflict, with the name of the route',
      '{ path: "", ',
      '{ path: "", auth: public, ',
      [
        '15:12: routes[0].allow: needs auth: required; auth: public checks no role, tenant, scope, OAuth client or actor, in the route "complaints"',
        '16:44: routes[0].limits[0].by: a public route has no user: count by address or route, in the route "complaints"',
      ],
    ],
    [
      'no list',
      /routes:\n {6}[\s\S]*/,
      'routes: 5\n',
      ['18:13: routes[0].routes: must be a list of at least one route'],
    ],
    [
      'an empty list',
      /routes:\n {6}[\s\S]*/,
      'routes: []\n',
      ['18:13: routes[0].routes: must be a list of at least one route'],
    ],
    [
      'duplicate names',
      'name: files, path: "/:id/attachments/**"',
      'name: id, path: /x',
      ['22:17: routes[0].routes[3].name: another route is also called "complaints-id"'],
    ],
  ])('%s', (_what, from, to, expected) => {
    const file = exampleHead + complaints.replace(from, to);
    expect(file).not.toBe(exampleHead + complaints);
    const found = problemsOf(file).filter((problem) => !problem.includes('routes: must have at least'));
    expect(found).toEqual(expected.map((problem) => expect.stringContaining(`gateway.yaml:${problem}`)));
  });
});
