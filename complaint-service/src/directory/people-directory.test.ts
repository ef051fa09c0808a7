import type { CallService, ServiceCall, UserIdentity } from '@countersign/identity';
import { silentLogger } from '@countersign/testing';
import { describe, expect, test } from '@jest/globals';
import { createPeopleDirectory } from './people-directory.ts';

const caller: UserIdentity = {
  kind: 'user',
  requestId: '0197c2a0-0000-7000-8000-000000000001',
  context: {},
  userId: 'u-1',
  role: 'agent',
  tenantId: 't-1',
  txnToken: 'a.b.c',
};

const directoryWith = (callService: CallService) => createPeopleDirectory(callService, { logger: silentLogger() });

/** Looks up `u-2` while the users-service responds like this, and returns the result. */
async function verdict(answer: () => Promise<Response>, userId = 'u-2', from = caller): Promise<unknown> {
  return directoryWith(answer)
    .find(from, userId)
    .catch((error: { code: string }) => error.code);
}
const json = (status: number, body: unknown) => async () => Response.json(body, { status });
const member = (role: string, status: string, id = 'u-2') => json(200, { id, role, status });

describe('looking up a person', () => {
  test.each<[string, () => Promise<Response>, unknown]>([
    ['finds a member', member('agent', 'active'), { id: 'u-2', role: 'agent', status: 'active' }],
    ['finds no unknown user', json(404, { code: 'unknown_user' }), undefined],
    ['fails on a 404 from the gateway', json(404, { code: 'no_route' }), 'people_unavailable'],
    ['fails on a 404 for another path', json(404, { code: 'not_found' }), 'people_unavailable'],
    ['fails on a 401', json(401, { code: 'txn_token_expired' }), 'people_unavailable'],
    ['fails on a 403', json(403, { code: 'caller_not_allowed' }), 'people_unavailable'],
    ['fails on a 503', json(503, { code: 'unavailable' }), 'people_unavailable'],
    ['fails on a response that is not JSON', async () => new Response('<html>'), 'people_unavailable'],
    ['fails on a response that is not a user', json(200, { id: 'u-2' }), 'people_unavailable'],
    ['fails on a response about another user', member('agent', 'active', 'u-3'), 'people_unavailable'],
    ['fails when the call fails', () => Promise.reject(new TypeError('fetch failed')), 'people_unavailable'],
  ])('%s', async (_name, answer, expected) => {
    expect(await verdict(answer)).toEqual(expected);
  });

  test('calls on behalf of the user, with the id escaped as one path segment', async () => {
    const calls: ServiceCall[] = [];
    const callService: CallService = async (call) => {
      calls.push(call);
      return Response.json({ code: 'unknown_user' }, { status: 404 });
    };
    const { find } = directoryWith(callService);
    for (const id of ['u-2', 'a|b', 'a@b:c', '~x']) expect(await find(caller, id)).toBeUndefined();
    expect(calls.map(({ path }) => path)).toEqual([
      '/internal/users/u-2',
      '/internal/users/a%7Cb',
      '/internal/users/a%40b%3Ac',
      '/internal/users/~x',
    ]);
    expect(calls[0]).toMatchObject({ method: 'GET', txnToken: 'a.b.c' });
    for (const id of ['.', '..']) expect(await find(caller, id)).toBeUndefined();
    expect(calls).toHaveLength(4);
  });

  test('makes no call when the gateway sent no txn-token', async () => {
    const { txnToken: _, ...without } = caller;
    expect(await verdict(member('agent', 'active'), 'u-2', without)).toBe('people_unavailable');
  });
});
