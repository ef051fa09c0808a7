import { expect, test } from '@jest/globals';
import type { Member } from '../store/schema.ts';
import { changesTo, foldName, maySee } from './profile.ts';

const member: Member = {
  tenant_id: 't',
  user_id: 'u',
  role: 'agent',
  status: 'active',
  email: 'u@acme.test',
  display_name: 'Uma',
  folded_name: 'uma',
  phone: '+43 1 234',
  locale: null,
  time_zone: null,
  revision: '0197c2a0-0000-7000-8000-000000000000',
  sequence: 0,
  created_at: new Date(0),
  updated_at: new Date(0),
};

test.each([
  ['complainant', 'u', true],
  ['complainant', 'other', false],
  ['auditor', 'other', false],
  ['agent', 'other', true],
  ['admin', 'other', true],
])('role %s can see user %s: %s', (role, userId, sees) => {
  expect(maySee({ userId: 'u', role }, userId)).toBe(sees);
});

test('names are compared regardless of case and compatibility forms', () => {
  expect(foldName('ÄNNE Ｏ')).toBe(foldName('änne o'));
});

test('a folded name fits an index entry, however much its ligatures expand', () => {
  expect([...foldName('\ufdfa'.repeat(100))]).toHaveLength(100);
});

test('a change contains only the fields that differ, and a new display name also changes the folded name', () => {
  expect(changesTo(member, { display_name: 'Úna', phone: null, locale: undefined })).toEqual({
    display_name: 'Úna',
    folded_name: 'úna',
    phone: null,
  });
  expect(changesTo(member, { display_name: 'Uma', phone: '+43 1 234', locale: null })).toBeUndefined();
  expect(changesTo(member, {})).toBeUndefined();
});
