import { expect, test } from '@jest/globals';
import { changedFields, editOf } from './described.ts';

const current = {
  title: 'Noise',
  description: 'At night',
  category_id: '1',
  priority: 1,
  latitude: null,
  longitude: null,
  address: 'Mill Lane 3',
  contact_preference: 'email' as const,
};

test('an edit contains only the fields that differ', () => {
  expect(changedFields(current, { title: 'Noise', category_id: '2' })).toEqual({ category_id: '2' });
  expect(changedFields(current, current)).toEqual({});
  expect(changedFields(current, { title: undefined })).toEqual({});
  expect(changedFields(current, { address: null, latitude: null })).toEqual({ address: null });
});

test('the history of an edit has the old and new values, as the API shows them', () => {
  const before = { ...current, category: 'street' };
  const after = { ...before, title: 'Noise at night', category: 'house', priority: 3, latitude: 48.2, longitude: 16.4 };
  expect(editOf(before, after)).toEqual({
    fields: ['title', 'category', 'priority', 'location'],
    changes: {
      title: { from: 'Noise', to: 'Noise at night' },
      category: { from: 'street', to: 'house' },
      priority: { from: 'normal', to: 'urgent' },
      location: {
        from: { latitude: null, longitude: null, address: 'Mill Lane 3' },
        to: { latitude: 48.2, longitude: 16.4, address: 'Mill Lane 3' },
      },
    },
  });
});
