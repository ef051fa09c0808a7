import type { CallService, ServiceCall, UserIdentity } from '@countersign/identity';
import { describe, expect, test } from '@jest/globals';
import { createAssigneeDirectory } from './assignee-directory.ts';

const caller: UserIdentity = {
  kind: 'user',
  requestId: '0197c2a0-0000-7000-8000-000000000001',
  context: {},
  userId: 'u-1',
  role: 'agent',
  tenantId: 't-1',
  txnToken: 'a.b.c',
};

/** Asks about `u-2` and returns the result, when the call gets this answer. */
async function verdict(answer: () => Promise<Response>, assigneeId = 'u-2', from = caller): Promise<unknown> {
  const assignees = createAssigneeDirectory(answer);
  return assignees(from, assigneeId).catch((error: { code: string }) => error.code);
}
const json = (status: number, body: unknown) => async () => Response.json(body, { status });
const member = (role: string, status: string, id = 'u-2') => json(200, { id, role, status });

describe('whether a user may take a complaint', () => {
  test.each<[string, () => Promise<Response>, unknown]>([
    ['an active agent may', member('agent', 'active'), true],
    ['an inactive agent may not', member('agent', 'inactive'), false],
    ['an admin may not', member('admin', 'active'), false],
    ['a complainant may not', member('complainant', 'active'), false],
    ['an unknown user may not', json(404, { code: 'unknown_user' }), false],
    ['a 404 of the gateway is an error', json(404, { code: 'no_route' }), 'assignees_unavailable'],
    ['a 404 of another path is an error', json(404, { code: 'not_found' }), 'assignees_unavailable'],
    ['a refused call is an error', json(401, { code: 'txn_token_expired' }), 'assignees_unavailable'],
    ['a forbidden call is an error', json(403, { code: 'caller_not_allowed' }), 'assignees_unavailable'],
    ['a 503 is an error', json(503, { code: 'unavailable' }), 'assignees_unavailable'],
    ['what is not JSON is an error', async () => new Response('<html>'), 'assignees_unavailable'],
    ['what is not a user is an error', json(200, { id: 'u-2' }), 'assignees_unavailable'],
    ['another user is an error', member('agent', 'active', 'u-3'), 'assignees_unavailable'],
    ['a failed call is an error', () => Promise.reject(new TypeError('fetch failed')), 'assignees_unavailable'],
  ])('%s', async (_name, answer, expected) => {
    expect(await verdict(answer)).toBe(expected);
  });

  test('calls for the user, with the id escaped in one path segment', async () => {
    const calls: ServiceCall[] = [];
    const callService: CallService = async (call) => {
      calls.push(call);
      return Response.json({ code: 'unknown_user' }, { status: 404 });
    };
    const assignees = createAssigneeDirectory(callService);
    for (const id of ['u-2', 'a|b', 'a@b:c', '~x']) expect(await assignees(caller, id)).toBe(false);
    expect(calls.map(({ path }) => path)).toEqual([
      '/internal/users/u-2',
      '/internal/users/a%7Cb',
      '/internal/users/a%40b%3Ac',
      '/internal/users/~x',
    ]);
    expect(calls[0]).toMatchObject({ method: 'GET', txnToken: 'a.b.c' });
    for (const id of ['.', '..']) expect(await assignees(caller, id)).toBe(false);
    expect(calls).toHaveLength(4);
  });

  test('makes no call when the gateway sent no txn-token', async () => {
    const { txnToken: _, ...without } = caller;
    expect(await verdict(member('agent', 'active'), 'u-2', without)).toBe('assignees_unavailable');
  });
});
