import { describe, expect, test } from '@jest/globals';
import { allContenders, selectContenders } from './contenders.ts';

describe('selecting contenders', () => {
  const all = allContenders({ gateways: ['/x/one/gateway', '/x/two/gateway'], nodeFlags: [], gatewayFlags: [] });
  const select = (...names: string[]) => selectContenders(all, names).map(({ name }) => name);

  test.each([
    [['limit'], ['limit']],
    [
      ['fastify', 'limit'],
      ['limit', 'fastify'],
    ],
    [['gateway-ed25519'], ['gateway-ed25519@one', 'gateway-ed25519@two']],
    [['gateway-hmac-sha256@two'], ['gateway-hmac-sha256@two']],
  ])('%p selects %p', (names, selected) => {
    expect(select(...names)).toEqual(selected);
  });

  test('`gateway` selects every checkout with every algorithm, and an empty list selects everything', () => {
    expect(select('gateway')).toEqual(select().filter((name) => name.startsWith('gateway-')));
    expect(select()).toEqual(all.map(({ name }) => name));
  });

  test('refuses a name that selects nothing, and lists the known names', () => {
    expect(() => select('gate')).toThrow(/unknown: gate; known: limit, recipe, fastify/);
  });
});

test('a single gateway has no checkout in its name', () => {
  const names = allContenders({ gateways: ['/x/one/gateway'], nodeFlags: [], gatewayFlags: [] }).map(
    ({ name }) => name,
  );
  expect(names).toContain('gateway-hmac-sha256');
});
