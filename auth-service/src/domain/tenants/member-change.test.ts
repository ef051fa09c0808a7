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
  ['what is so already', [boss, ann], 'ann', { role: 'agent' }, { kind: 'same' }],
  ['nobody', [boss], 'ann', { role: 'agent' }, { kind: 'refuse', code: 'not_found' }],
  ['the only administrator', [boss], 'boss', { role: 'agent' }, { kind: 'refuse', code: 'last_admin' }],
  ['one of two', [boss, member('b', 'admin')], 'boss', { role: 'agent' }, { kind: 'change' }],
  [
    'one beside whom another is disabled here',
    [boss, member('b', 'admin', { status: 'disabled' })],
    'boss',
    { status: 'disabled' },
    { kind: 'refuse', code: 'last_admin' },
  ],
  [
    'one beside whom another cannot log in anywhere',
    [boss, member('b', 'admin', { accountActive: false })],
    'boss',
    { role: 'agent' },
    { kind: 'refuse', code: 'last_admin' },
  ],
])('decides a change of %s', (_what, known, target, wanted, expected) => {
  expect(decideMemberChange(known, { actor: 'boss', target }, wanted)).toMatchObject(expected);
});

test.each<[string, KnownMember]>([
  ['no administrator', member('eve', 'agent')],
  ['one who is disabled', member('eve', 'admin', { status: 'disabled' })],
  ['one whose account is disabled', member('eve', 'admin', { accountActive: false })],
])('lets %s change nothing, not even what is not there', (_who, eve) => {
  for (const target of ['ann', 'eve', 'boss', 'nobody']) {
    const decision = decideMemberChange([boss, ann, eve], { actor: 'eve', target }, { role: 'admin' });
    expect(decision).toEqual({ kind: 'refuse', code: 'insufficient_role' });
  }
});

test('always leaves an administrator who can log in, whatever is done by whom and in which order', () => {
  const ids = ['a', 'b', 'c', 'd'];
  const id = fc.constantFrom(...ids);
  const step = fc.record({
    actor: id,
    target: id,
    wanted: fc.record(
      { role: fc.constantFrom('admin', 'agent'), status: fc.constantFrom('active' as const, 'disabled' as const) },
      { requiredKeys: [] },
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let members = ids.map((userId, index) => member(userId, index < 2 ? 'admin' : 'agent'));
      for (const { actor, target, wanted } of steps) {
        const decision = decideMemberChange(members, { actor, target }, wanted);
        if (decision.kind !== 'change') continue;
        members = members.map((each) => (each.userId === target ? { ...each, ...decision.to } : each));
        expect(members.some(({ role, status }) => role === 'admin' && status === 'active')).toBe(true);
      }
    }),
  );
});
