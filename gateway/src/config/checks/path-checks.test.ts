import { describe, expect, test } from '@jest/globals';
import { exampleHead } from '../../../test/kit/example-config.ts';
import { problemsOf } from '../../../test/kit/problems-of.ts';

type Entry = Readonly<{
  path: string;
  auth?: string;
  methods?: string;
  rewrite?: string;
  upstream?: string;
  roles?: string;
}>;

const file = (routes: readonly Entry[]) =>
  `${exampleHead}  other: { targets: ["http://127.0.0.1:9001"] }
  exact: { targets: ["http://127.0.0.1:9002"], paths: exact }
services: { caller: { keys: ./caller.jwks.json } }
routes:
${routes
  .map(({ path, auth = 'required', methods = 'GET', rewrite, upstream = 'users-service', roles }, index) =>
    [
      `  - { name: r${index}, path: "${path}", methods: [${methods}], upstream: ${upstream}, auth: ${auth}`,
      ...(auth === 'service' ? ['callers: [caller]'] : []),
      ...(roles === undefined ? [] : [`allow: { roles: [${roles}] }`]),
      ...(rewrite === undefined
        ? []
        : [`rewrite: { prefix: { from: ${rewrite.split('>')[0]}, to: ${rewrite.split('>')[1]} } }`]),
    ].join(', '),
  )
  .map((line) => `${line} }\n`)
  .join('')}`;

const problemsWith = (...routes: readonly Entry[]) =>
  problemsOf(file(routes)).filter((problem) => !problem.includes('caller.jwks.json'));

describe('two routes that only some routers can tell apart', () => {
  test.each([
    ['case', '/v1/export', '/v1/Export'],
    ['a trailing slash', '/keys', '/keys/'],
    ['a trailing slash after a parameter', '/keys/:id', '/keys/:id/'],
    ['dots', '/keys', '/keys.'],
    ['a leading dot', '/.keys', '/keys'],
    ['case before a parameter', '/a/b/:x/c', '/a/B/:x'],
    ['case in another depth', '/a/b', '/A/b/c/**'],
  ])('are refused: %s', (_name, one, other) => {
    for (const [first, second] of [
      [one, other],
      [other, one],
    ] as const) {
      expect(problemsWith({ path: first }, { path: second, methods: 'POST' })).toEqual([
        expect.stringMatching(
          /^gateway\.yaml:15:\d+: routes\[1\]\.path: differs from ".*" only in case, dots or a trailing slash, which many routers ignore \(gateway\.yaml:14:\d+\)$/,
        ),
      ]);
    }
  });

  test.each([
    ['one shape', [{ path: '/a/b' }, { path: '/a/b', methods: 'POST' }]],
    ['parameters of other names', [{ path: '/a/:x/b' }, { path: '/a/:y/c' }]],
    ['a parameter and a literal', [{ path: '/a/:x' }, { path: '/a/B' }]],
    ['everything below', [{ path: '/a' }, { path: '/a/**' }]],
    ['a listener each', [{ path: '/a/B' }, { path: '/a/b', auth: 'service' }]],
    [
      'two upstreams that compare exactly',
      [
        { path: '/a/', upstream: 'exact' },
        { path: '/A', upstream: 'exact' },
      ],
    ],
  ])('are accepted: %s', (_name, routes) => {
    expect(problemsWith(...routes)).toEqual([]);
  });

  test('are refused if only one of their upstreams compares exactly', () => {
    expect(problemsWith({ path: '/a', upstream: 'exact' }, { path: '/A' })).toHaveLength(1);
  });
});

test.each([
  ['/HEALTHZ', 1],
  ['/healthz/', 1],
  ['/readyz.', 1],
  ['/.Well-Known/countersign/x', 1],
  ['/well-known/countersign/:x', 1],
  ['/.well-known/OAuth-Protected-Resource', 1],
  ['/healthz', 0],
  ['/.well-known/oauth-protected-resource/mcp', 0],
  ['/.Well-Known/security.txt', 0],
])('a route at %s has %i problems', (path, count) => {
  const found = problemsWith({ path });
  expect(found).toHaveLength(count);
  expect(found.filter((problem) => !problem.includes('another spelling of a path'))).toEqual([]);
});

describe('routes whose rewrites reach one path of the upstream', () => {
  const admin = { auth: 'required', roles: 'admin' };
  const anyone = { auth: 'public' };
  test.each([
    [
      'by other prefixes',
      { path: '/a/**', rewrite: '/a>/x', ...admin },
      { path: '/b/**', rewrite: '/b>/x', ...anyone },
      '/x/**',
    ],
    ['with and without a rewrite', { path: '/admin', ...admin }, { path: '/v1/**', rewrite: '/v1>/' }, '/admin'],
    ['in another case', { path: '/v1/Admin/:x', rewrite: '/v1>/', ...admin }, { path: '/admin/1' }, '/admin/1'],
    ['with a slash', { path: '/v1/admin/', rewrite: '/v1>/', ...admin }, { path: '/:any' }, '/admin'],
    ['through a parameter', { path: '/v1/:t/admin', rewrite: '/v1>/', ...admin }, { path: '/acme/**' }, '/acme/admin'],
  ] satisfies readonly [string, Entry, Entry, string][])('%s are refused', (_name, one, other, path) => {
    for (const routes of [
      [one, other],
      [other, one],
    ]) {
      expect(problemsWith(...routes)).toEqual([
        expect.stringContaining(
          `routes[1].path: reaches "${path}" of the upstream, as route "r0" does with other rules`,
        ),
      ]);
    }
  });

  test.each([
    ['with the same rules', { path: '/a/**', rewrite: '/a>/x' }, { path: '/b/**', rewrite: '/b>/x' }],
    ['of other upstreams', { path: '/admin', upstream: 'other', ...admin }, { path: '/v1/**', rewrite: '/v1>/' }],
    ['by one rewrite', { path: '/v1/admin', rewrite: '/v1>/', ...admin }, { path: '/v1/**', rewrite: '/v1>/' }],
    ['for other methods', { path: '/a', ...admin }, { path: '/b', methods: 'POST', rewrite: '/b>/a' }],
    ['of which one is public', { path: '/hook', ...anyone }, { path: '/v1/**', rewrite: '/v1>/' }],
    [
      'of which another route takes the common one',
      { path: '/admin', ...admin },
      { path: '/v1/**', rewrite: '/v1>/' },
      { path: '/v1/admin', rewrite: '/v1>/', ...admin },
    ],
  ] satisfies readonly [string, ...Entry[]][])('%s are accepted', (_name, ...routes: readonly Entry[]) => {
    expect(problemsWith(...routes)).toEqual([]);
  });
});
