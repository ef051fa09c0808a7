import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { exampleRoute } from '../../test/kit/example-route.ts';
import { fastestMs } from '../../test/kit/fastest.ts';
import type { Route } from '../config/config.ts';
import { parsePattern, servedMethods } from '../config/path-pattern.ts';
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
    ['/V1', 'no_route'],
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
    ['/admin', '/ADMIN'],
    ['/admin', '/admin/'],
    ['/admin', '/admin.'],
    ['/admin', '/admin%20'],
    ['/admin/', '/admin'],
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

  const segment = fc.constantFrom('a', 'b', 'c', ':p', ':q');
  const pattern = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.constantFrom('', '', '/**', '/'))
    .map(([segments, end]) => `/${segments.join('/')}${segments.length === 0 && end !== '' ? end.slice(1) : end}`)
    .filter((text) => typeof parsePattern(text) !== 'string');
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c', 'd', 'a-a'), { maxLength: 5 })
    .chain((parts) => fc.constantFrom(`/${parts.join('/')}`, parts.length === 0 ? '/' : `/${parts.join('/')}/`));

  test('chooses the same route as the model, for any routes and path', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(pattern, { selector: shape, minLength: 1, maxLength: 12 }),
        path,
        (patterns, asked) => {
          const routes = patterns.map((text, index) =>
            exampleRoute({ name: `r${index}`, path: text, methods: ['GET'] }),
          );
          expect(chosen(createRouteTable('public', routes), asked)).toBe(model(routes, asked)?.path ?? 'no_route');
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('does not depend on the order of routes', () => {
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { selector: shape, minLength: 2, maxLength: 8 }), path, (patterns, asked) => {
        const forth = chosen(table(...patterns.map((text) => [text] as const)), asked);
        const back = chosen(table(...patterns.toReversed().map((text) => [text] as const)), asked);
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

/**
 * Finds the most specific pattern that fits: segment by segment, a literal comes first, then a parameter, then `**`.
 */
function model(routes: readonly Route[], path: string): Route | undefined {
  const asked = path.slice(1).split('/');
  const fitting = routes.filter((route) => servedMethods(route.methods).includes('GET') && fits(route.path, asked));
  return fitting.toSorted((a, b) => rank(a.path).localeCompare(rank(b.path)))[0];
}

function fits(pattern: string, asked: readonly string[]): boolean {
  const parts = pattern.slice(1).split('/');
  const open = parts.at(-1) === '**';
  const fixed = open ? parts.slice(0, -1) : parts;
  if (open ? asked.length < fixed.length : asked.length !== fixed.length) return false;
  return fixed.every((part, index) => (part.startsWith(':') ? asked[index] !== '' : part === asked[index]));
}

function rank(pattern: string): string {
  const parts = pattern.slice(1).split('/');
  return parts.map((part) => (part === '**' ? '3' : part.startsWith(':') ? '2' : '1')).join('');
}
