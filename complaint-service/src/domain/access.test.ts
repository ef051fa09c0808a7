import { expect, test } from '@jest/globals';
import { commentReachOf, reachOf } from './access.ts';

test.each(['agent', 'admin'])('an %s reaches the whole tenant, internal comments too', (role) => {
  expect(reachOf({ userId: 'u', role })).toEqual({ kind: 'tenant' });
  expect(commentReachOf({ userId: 'u', role })).toBe('all');
});

test.each(['complainant', 'Agent', 'admin ', ''])('the role %j reaches its own complaints only', (role) => {
  expect(reachOf({ userId: 'u', role })).toEqual({ kind: 'own', complainantId: 'u' });
  expect(commentReachOf({ userId: 'u', role })).toBe('public');
});
