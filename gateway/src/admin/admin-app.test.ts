import { expect, test } from '@jest/globals';
import { exampleConfig } from '../../test/kit/example-config.ts';
import { route } from '../config/schema/route-schema.ts';
import { describeRoute } from './admin-app.ts';

test('shows every key that a route can have', () => {
  const [described] = exampleConfig().routes.map(describeRoute);
  expect(Object.keys(described ?? {})).toEqual(expect.arrayContaining(Object.keys(route.shape)));
});
