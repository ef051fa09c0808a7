import { describe, expect, test } from '@jest/globals';
import { exampleConfig } from '../../test/kit/example-config.ts';
import type { TestCaller } from '../config/config.ts';
import { assumedToken } from '../explain/callers.ts';
import { toAuthenticated } from '../pipeline/authenticate.ts';
import { RequestRecord } from '../pipeline/request-record.ts';
import { loggedPartOf, mappingOf } from './logged-caller.ts';
import type { TokenStatus } from './verified-tokens.ts';

const at = 'methods: [GET], upstream: users-service, auth: required';
const config = exampleConfig(`scopes: [c]
routes:
  - { name: a, path: /a, ${at}, allow: { scopes: [a, b], claims: { department: [legal] } } }
`);

function tokenOf(more: Partial<TestCaller> = {}): TokenStatus {
  const [issuer] = config.issuers;
  const as = { issuer: undefined, userId: 'u', role: 'agent', tenantId: 'acme', client: 'web', actor: undefined };
  const { claims } = assumedToken({ ...as, scope: ['b', 'openid'], bound: false, ...more }, issuer as never, 0);
  return { claims, kid: 'k', issuer: { config: issuer } } as unknown as TokenStatus;
}

describe('the part of a log line that a token has', () => {
  test('has what rules read, without the ids that the line has otherwise', () => {
    const claims = { department: ['it'], email: ['a@b.test'] };
    const part = loggedPartOf(tokenOf({ claims, bound: true, actor: { issuer: 'https://x.test', name: 'bot' } }));
    expect(part.json).toBe(JSON.stringify({ caller: part.caller }).slice(1, -1));
    expect(part.caller).toEqual({
      iss: 'http://127.0.0.1:8080',
      role: 'agent',
      scope: ['b'],
      other_scope: ['a', 'c'],
      actor_iss: 'https://x.test',
      bound: true,
      claims: { department: ['it'] },
      mapping: mappingOf(config.issuers[0] as never).user,
    });
  });

  test('is serialized once for all requests with a token', () => {
    const token = tokenOf();
    const partOf = () => {
      const matched = { record: new RequestRecord('', 'GET', '/', 0) };
      toAuthenticated(matched as never, { kind: 'user', token } as never, undefined);
      return matched.record.caller;
    };
    const first = partOf();
    expect(first).toEqual(loggedPartOf(token));
    expect(partOf()).toBe(first);
  });

  test('says that the token lacks a claim, and leaves out claims that are too long', () => {
    const claimsOf = (values: readonly string[]) =>
      JSON.parse(`{${loggedPartOf(tokenOf({ claims: { department: values } })).json}}`).caller.claims;
    expect(claimsOf([])).toEqual({ department: [] });
    expect(claimsOf(['x'.repeat(900)])).toEqual({ department: ['x'.repeat(900)] });
    expect(claimsOf(Array.from({ length: 300 }, (_, index) => `group-${index}`))).toBeUndefined();
  });

  test.each([
    ['the OAuth client', 'claims: { client: cid }', [true, false, false, false]],
    ['the kind of caller', 'machines: { when: { gty: [x] } }', [true, false, false, false]],
    ['the role', 'claims: { role: { from: role, map: { a: agent } } }', [false, true, false, false]],
    ['the tenant', 'tenantPrefix: "a:"', [false, false, true, false]],
    ['the scopes', 'claims: { scope: scp }', [false, false, false, true]],
    ['neither', 'clients: [web]', [false, false, false, false]],
  ])('shows when another configuration reads %s differently', (_what, own, expected) => {
    const changed = exampleConfig(`routes:\n  - { name: a, path: /a, ${at} }\n`, {}, own);
    const [old, now] = [config, changed].map(({ issuers }) => mappingOf(issuers[0] as never).user.split('.'));
    expect(old?.map((part, index) => part !== now?.[index])).toEqual(expected);
  });
});
