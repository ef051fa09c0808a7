import { expect, test } from '@jest/globals';
import { changedFields, editOf } from './editing.ts';

const current = { title: 'Noise', description: 'At night', category: 'street' };

test('an edit holds only the fields that differ', () => {
  expect(changedFields(current, { title: 'Noise', category: 'house' })).toEqual({ category: 'house' });
  expect(changedFields(current, current)).toEqual({});
  expect(changedFields(current, { title: undefined })).toEqual({});
});

test('the history of an edit has the text before and after', () => {
  expect(editOf(current, { title: 'Noise at night', category: 'house' })).toEqual({
    fields: ['title', 'category'],
    changes: { title: { from: 'Noise', to: 'Noise at night' }, category: { from: 'street', to: 'house' } },
  });
});
