import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { exampleRoute, exampleUpstream } from '../../test/kit/example-route.ts';
import { fastestMs } from '../../test/kit/fastest.ts';
import { parsePattern } from '../config/path-pattern.ts';
import { AppError } from '../errors.ts';
import { createRouteTable, routesOn } from './route-table.ts';

const table = (...routes: readonly (readonly [path: string, methods?: readonly string[]])[]) =>
  createRouteTable(
    'public',
    routes.map(([path, methods = ['GET']], index) => exampleRoute({ name: `r${index}`, path, methods })),
  );

/** Returns the matching route's path, or the refusal's code. */
const chosen = (of: ReturnType<typeof table>, path: string, method = 'GET') => {
  try {
    return of.match(method, path).route.path;
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
};

describe('the route table', () => {
  test.each([
    ['/v1/users/me', '/v1/users/me'],
    ['/v1/users/7', '/v1/users/:id'],
    ['/v1/users/7/roles/x', '/v1/users/:id/**'],
    ['/v1/users/me/roles', '/v1/users/:id/**'],
    ['/v1/users', '/v1/**'],
    ['/v1', '/v1/**'],
    ['/v1/', '/v1/**'],
    ['/v1/users/', '/v1/**'],
    ['/v1x', 'no_route'],
    ['/V1', 'invalid_target'],
    ['/', 'no_route'],
  ])('serves %s by %s: a literal beats a parameter, which beats **', (path, pattern) => {
    const routes = table(['/v1/**'], ['/v1/users/:id/**'], ['/v1/users/:id'], ['/v1/users/me']);
    expect(chosen(routes, path)).toBe(pattern);
  });

  test('tries the next branch if a more specific one does not match', () => {
    const routes = table(['/a/b/c'], ['/:x/b/d'], ['/a/**']);
    expect(chosen(routes, '/a/b/c')).toBe('/a/b/c');
    expect(chosen(routes, '/a/b/d')).toBe('/a/**');
    expect(chosen(routes, '/z/b/d')).toBe('/:x/b/d');
  });

  test.each([
    ['/api', '/apikeys'],
    ['/api/**', '/apikeys'],
    ['/api/**', '/api-internal/x'],
    ['/x/:id', '/x/'],
    ['/x/:id', '/x'],
  ])('%s does not match %s', (pattern, path) => {
    expect(chosen(table([pattern]), path)).toBe('no_route');
  });

  test('refuses a method that no route with this path lists, even if a broader route does', () => {
    const routes = table(['/v1/complaints/:id', ['GET', 'PATCH']], ['/v1/**', ['DELETE']]);
    expect(() => routes.match('DELETE', '/v1/complaints/1')).toThrow(
      expect.objectContaining({ code: 'method_not_allowed', headers: { allow: 'GET, HEAD, PATCH' } }),
    );
  });

  test('GET implies HEAD, and nothing else', () => {
    const routes = table(['/a', ['GET']], ['/b', ['POST']]);
    expect(chosen(routes, '/a', 'HEAD')).toBe('/a');
    expect(chosen(routes, '/b', 'HEAD')).toBe('method_not_allowed');
    expect(chosen(routes, '/a', 'OPTIONS')).toBe('method_not_allowed');
    expect(chosen(routes, '/a', 'get')).toBe('method_not_allowed');
  });

  test('two routes with one path may have different methods and parameter names', () => {
    const routes = table(['/users/:id', ['GET']], ['/users/:userId', ['PATCH']]);
    expect(routes.match('GET', '/users/7')).toMatchObject({ params: { id: '7' } });
    expect(routes.match('PATCH', '/users/7')).toMatchObject({ params: { userId: '7' } });
  });

  test('decodes parameters once, and allows any name', () => {
    const { params } = table(['/:__proto__/:b']).match('GET', '/%C3%A9/%2525');
    expect({ ...params }).toEqual(
      Object.fromEntries([
        ['__proto__', 'é'],
        ['b', '%25'],
      ]),
    );
  });

  test('separates the routes of the two listeners', () => {
    const routes = [
      exampleRoute({ name: 'open', path: '/a', auth: 'public' }),
      exampleRoute({ name: 'inner', path: '/internal/:id', auth: 'service' }),
    ];
    const tableOf = (listener: 'public' | 'internal') => createRouteTable(listener, routesOn(listener, { routes }));
    expect(chosen(tableOf('public'), '/internal/1')).toBe('no_route');
    expect(chosen(tableOf('internal'), '/internal/1')).toBe('/internal/:id');
    expect(chosen(tableOf('internal'), '/a')).toBe('no_route');
  });

  test('matches no path that the gateway reserves', () => {
    const of = table(['/**'], ['/.well-known/:x/:y']);
    expect(chosen(of, '/.well-known/countersign/events/sso')).toBe('no_route');
    expect(chosen(of, '/.well-known/countersign')).toBe('no_route');
    expect(of.methodsAt('/.well-known/countersign/a')).toBeUndefined();
    expect(chosen(of, '/.well-known/countersigned')).toBe('/**');
    expect(chosen(of, '/.well-known/other/a')).toBe('/.well-known/:x/:y');
  });

  test('refuses two routes with the same path and method', () => {
    expect(() => table(['/a/:x', ['GET']], ['/a/:y', ['HEAD']])).toThrow('HEAD is already served');
  });

  describe('refuses what a tolerant router would take to another route', () => {
    test.each([
      ['/admin', '/ADMIN'],
      ['/admin', '/admin/'],
      ['/admin', '/admin.'],
      ['/admin', '/.admin'],
      ['/admin', '/admin%20'],
      ['/admin', '/%EF%BD%81dmin'],
      ['/admin', '/adm%C4%B1n'],
      ['/admin', '/%2561dmin'],
      ['/admin', '/admin%253Bx'],
      ['/admin/', '/admin'],
      ['/Admin', '/admin'],
      ['/admin/:id', '/ADMIN/1'],
      ['/admin/**', '/ADMIN'],
      ['/admin/x', '/admin%252Fx'],
      ['/.well-known/a', '/well-known/a'],
      ['/HEALTH', '/health'],
    ])('%s in place of no route or of /**: %s', (pattern, path) => {
      const alone = table([pattern, ['POST']]);
      expect(chosen(alone, path)).toBe('invalid_target');
      const routes = table([pattern, ['POST']], ['/**']);
      expect(chosen(routes, path)).toBe('invalid_target');
      for (const find of [routes.methodsAt, routes.routesAt]) expect(() => find(path)).toThrow('invalid_target');
      expect(() => routes.match('GET', path)).toThrow(
        expect.objectContaining({ detail: { reason: `another spelling of ${pattern}` } }),
      );
    });

    test.each([
      ['/admin/:id', '/admin/Kim'],
      ['/admin/:id', '/admin/K%C3%AFm%20'],
      ['/admin/**', '/admin/'],
      ['/admin/**', '/admin/ADMIN/'],
      ['/**', '/ADMIN/'],
      ['/Admin', '/Admin'],
      ['/admin/', '/admin/'],
    ])('%s may be written as %s', (pattern, path) => {
      expect(chosen(table([pattern], ['/**', ['POST']]), path)).toBe(pattern);
    });

    test.each([
      '/HEALTHZ',
      '/healthz/',
      '/readyz.',
      '/Metrics',
      '/.Well-Known/countersign/x',
      '/well-known/countersign',
    ])('%s is never forwarded, even to a service that compares paths exactly', (path) => {
      const upstream = { ...exampleUpstream, paths: 'exact' as const };
      const of = createRouteTable('public', [exampleRoute({ path: '/**', upstream })]);
      expect(chosen(of, path)).toBe('invalid_target');
      for (const exact of ['/healthz', '/.well-known/oauth-protected-resource/a/', '/.Well-Known/a']) {
        expect(chosen(of, exact)).toBe('/**');
      }
    });

    test('the path belongs to a service that compares paths exactly, so the rule is off', () => {
      const upstream = { ...exampleUpstream, paths: 'exact' as const };
      const routes = (of: typeof upstream | typeof exampleUpstream) =>
        createRouteTable('public', [
          exampleRoute({ name: 'all', path: '/**', upstream }),
          exampleRoute({ name: 'admin', path: '/admin', upstream: of }),
        ]);
      expect(chosen(routes(upstream), '/ADMIN')).toBe('/**');
      expect(chosen(routes(exampleUpstream), '/ADMIN')).toBe('/**');
      const shared = createRouteTable('public', [
        exampleRoute({ path: '/keys/', upstream }),
        exampleRoute({ name: 'b', path: '/KEYS', upstream }),
      ]);
      expect([chosen(shared, '/keys/'), chosen(shared, '/KEYS'), chosen(shared, '/keys')]).toEqual([
        '/keys/',
        '/KEYS',
        'invalid_target',
      ]);
    });
  });

  describe('judges the path that the upstream receives', () => {
    const prefix = (from: string, to: string) => ({ from, to });
    const routes = createRouteTable('public', [
      exampleRoute({ name: 'reports', path: '/reports', methods: ['POST'], allow: { roles: ['admin'] } }),
      exampleRoute({ name: 'open', path: '/open/**', auth: 'public', rewrite: prefix('/open', '/') }),
      exampleRoute({ name: 'same', path: '/v2/items', methods: ['PUT'], rewrite: prefix('/v2', '/') }),
      exampleRoute({ name: 'items', path: '/items', methods: ['GET'] }),
    ]);

    test.each([
      ['GET', '/open/reports', 'invalid_target'],
      ['GET', '/open/REPORTS/', 'invalid_target'],
      ['GET', '/open/items', 'invalid_target'],
      ['GET', '/open/HEALTHZ', 'invalid_target'],
      ['GET', '/open/healthz', '/open/**'],
      ['GET', '/open/reports/1', '/open/**'],
      ['POST', '/reports', '/reports'],
      ['PUT', '/v2/items', '/v2/items'],
      ['GET', '/items', '/items'],
    ])('%s %s: %s', (method, path, result) => {
      expect(chosen(routes, path, method)).toBe(result);
    });

    test('refuses nothing if every route of the upstream has the same rewrite', () => {
      const rewrite = prefix('/v1', '/');
      const of = createRouteTable('public', [
        exampleRoute({ name: 'a', path: '/v1/reports', rewrite, allow: { roles: ['admin'] } }),
        exampleRoute({ name: 'b', path: '/v1/**', rewrite }),
      ]);
      expect(of.match('GET', '/v1/reports').path).toBe('/reports');
      expect(of.match('GET', '/v1/Other/').path).toBe('/Other/');
      expect(chosen(of, '/v1/Reports')).toBe('invalid_target');
    });
  });

  const segment = fc.constantFrom('a', 'b', 'C', 'a.', ':p', ':q');
  const pattern = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.constantFrom('', '', '/**', '/'))
    .map(([segments, end]) => `/${segments.join('/')}${segments.length === 0 && end !== '' ? end.slice(1) : end}`)
    .filter((text) => typeof parsePattern(text) !== 'string');
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c', 'C', 'd', 'a-a', '.a', '%20'), { maxLength: 5 })
    .chain((parts) => fc.constantFrom(`/${parts.join('/')}`, parts.length === 0 ? '/' : `/${parts.join('/')}/`));
  const patterns = fc.uniqueArray(pattern, { selector: (text) => shape(folded(text)), minLength: 1, maxLength: 12 });

  test('chooses the same route as the model, for any routes and path', () => {
    fc.assert(
      fc.property(patterns, path, (texts, asked) => {
        const found = model(texts, asked);
        const tolerant = model(texts.map(folded), folded(asked));
        const differs = tolerant !== undefined && tolerant !== (found && folded(found));
        expect(chosen(table(...texts.map((text) => [text] as const)), asked)).toBe(
          differs ? 'invalid_target' : (found ?? 'no_route'),
        );
      }),
      { numRuns: 6000 },
    );
  });

  test('does not depend on the order of routes', () => {
    fc.assert(
      fc.property(patterns, path, (texts, asked) => {
        const forth = chosen(table(...texts.map((text) => [text] as const)), asked);
        const back = chosen(table(...texts.toReversed().map((text) => [text] as const)), asked);
        expect(back).toBe(forth);
      }),
    );
  });

  test('matches 8 KiB of a-a-a- in less than 5 ms against patterns that branch at every segment', () => {
    const patterns: string[] = [];
    for (let bits = 0; bits < 256; bits += 1) {
      const parts = Array.from({ length: 8 }, (_, at) => ((bits >> at) & 1 ? 'a' : `:p${at}`));
      patterns.push(`/${parts.join('/')}/end`, `/${parts.join('/')}/**`);
    }
    const routes = table(...patterns.map((text) => [text] as const));
    const hostile = [`/${'a-'.repeat(4000)}`, `/${'a/'.repeat(4000)}b`, `/a/a/a/a/a/a/a/a/${'x'.repeat(8000)}`];
    for (const asked of hostile) {
      expect(fastestMs(() => chosen(routes, asked))).toBeLessThan(5);
    }
  });
});

function shape(pattern: string): string {
  return pattern.replace(/:[a-z]+/g, ':');
}

/** The spelling that a tolerant router compares, for the characters of this test. The root's is empty. */
function folded(path: string): string {
  const segments = path
    .replaceAll('%20', ' ')
    .split('/')
    .map((part) => part.replace(/^[. ]+|[. ]+$/g, ''));
  return segments
    .map((part) => (part.startsWith(':') ? part : part.toLowerCase()))
    .join('/')
    .replace(/\/+$/, '');
}

/**
 * Finds the most specific pattern that fits: segment by segment, a literal comes first, then a parameter, then `**`.
 */
function model(patterns: readonly string[], path: string): string | undefined {
  const asked = path.split('/').slice(1);
  const fitting = patterns.filter((text) => fits(text, asked));
  return fitting.toSorted((a, b) => rank(a).localeCompare(rank(b)))[0];
}

function fits(pattern: string, asked: readonly string[]): boolean {
  const parts = pattern.split('/').slice(1);
  const open = parts.at(-1) === '**';
  const fixed = open ? parts.slice(0, -1) : parts;
  if (open ? asked.length < fixed.length : asked.length !== fixed.length) return false;
  return fixed.every((part, index) => (part.startsWith(':') ? asked[index] !== '' : part === asked[index]));
}

function rank(pattern: string): string {
  const parts = pattern.split('/').slice(1);
  return parts.map((part) => (part === '**' ? '3' : part.startsWith(':') ? '2' : '1')).join('');
}
