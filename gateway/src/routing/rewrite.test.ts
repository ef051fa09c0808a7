import { expect, test } from '@jest/globals';
import { rewritePath } from './rewrite.ts';

test.each([
  ['/v1/tenants/7/settings', '/v1', '/', '/tenants/7/settings'],
  ['/v1', '/v1', '/', '/'],
  ['/v1/', '/v1', '/', '/'],
  ['/v1/a', '/v1', '/api/v2', '/api/v2/a'],
  ['/v1', '/v1', '/api', '/api'],
  ['/v1/', '/v1', '/api', '/api/'],
  ['/a', '/', '/api', '/api/a'],
  ['/', '/', '/api', '/api/'],
  ['/v10/a', '/v1', '/', '/v10/a'],
  ['/v1/v1/a', '/v1', '/', '/v1/a'],
])('%s from %s to %s is %s', (path, from, to, expected) => {
  expect(rewritePath(path, { from, to })).toBe(expected);
});

test('leaves a path alone where there is nothing to rewrite', () => {
  expect(rewritePath('/v1/a', undefined)).toBe('/v1/a');
});
