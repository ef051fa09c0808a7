import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideMemberChange, type KnownMember, type WantedChange } from './member-change.ts';

const member = (userId: string, role: string, more: Partial<KnownMember> = {}): KnownMember => ({
  userId,
  role,
  status: 'active',
  accountActive: true,
  ...more,
});
const boss = member('boss', 'admin');
const ann = member('ann', 'agent');

test.each<[string, KnownMember[], string, WantedChange, object]>([
  ['another role', [boss, ann], 'ann', { role: 'admin' }, { kind: 'change', to: { role: 'admin', status: 'active' } }],
  ['another state', [boss, ann], 'ann', { status: 'disabled' }, { kind: 'change', to: { role: 'agent' } }],
  ['an unchanged role', [boss, ann], 'ann', { role: 'agent' }, { kind: 'same' }],
  ['an unknown member', [boss], 'ann', { role: 'agent' }, { kind: 'refuse', code: 'not_found' }],
  ['the only administrator', [boss], 'boss', { role: 'agent' }, { kind: 'refuse', code: 'last_admin' }],
  ['one of two administrators', [boss, member('b', 'admin')], 'boss', { role: 'agent' }, { kind: 'change' }],
  [
    'an administrator when the only other one is disabled in the tenant',
    [boss, member('b', 'admin', { status: 'disabled' })],
    'boss',
    { status: 'disabled' },
    { kind: 'refuse', code: 'last_admin' },
  ],
  [
    'an administrator when the account of the only other one is disabled',
    [boss, member('b', 'admin', { accountActive: false })],
    'boss',
    { role: 'agent' },
    { kind: 'refuse', code: 'last_admin' },
  ],
])('decides a change to %s', (_what, known, memberId, wanted, expected) => {
  expect(decideMemberChange(known, { actor: 'boss', memberId }, wanted)).toMatchObject(expected);
});

test.each<[string, KnownMember]>([
  ['a member without the admin role', member('eve', 'agent')],
  ['a disabled administrator', member('eve', 'admin', { status: 'disabled' })],
  ['an administrator with a disabled account', member('eve', 'admin', { accountActive: false })],
])('refuses every change by %s, even to an unknown member', (_who, eve) => {
  for (const memberId of ['ann', 'eve', 'boss', 'unknown']) {
    const decision = decideMemberChange([boss, ann, eve], { actor: 'eve', memberId }, { role: 'admin' });
    expect(decision).toEqual({ kind: 'refuse', code: 'insufficient_role' });
  }
});

test('always leaves an administrator who can log in, after any sequence of changes', () => {
  const ids = ['a', 'b', 'c', 'd'];
  const id = fc.constantFrom(...ids);
  const step = fc.record({
    actor: id,
    memberId: id,
    wanted: fc.record(
      { role: fc.constantFrom('admin', 'agent'), status: fc.constantFrom('active' as const, 'disabled' as const) },
      { requiredKeys: [] },
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let members = ids.map((userId, index) => member(userId, index < 2 ? 'admin' : 'agent'));
      for (const { actor, memberId, wanted } of steps) {
        const decision = decideMemberChange(members, { actor, memberId }, wanted);
        if (decision.kind !== 'change') continue;
        members = members.map((each) => (each.userId === memberId ? { ...each, ...decision.to } : each));
        expect(members.some(({ role, status }) => role === 'admin' && status === 'active')).toBe(true);
      }
    }),
  );
});
