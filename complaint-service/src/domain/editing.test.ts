import { expect, test } from '@jest/globals';
import { changedFields } from './editing.ts';

const current = { title: 'Noise', description: 'At night', category: 'street' };

test('an edit is only what is different', () => {
  expect(changedFields(current, { title: 'Noise', category: 'house' })).toEqual({ category: 'house' });
  expect(changedFields(current, current)).toEqual({});
  expect(changedFields(current, { title: undefined })).toEqual({});
});
