import { expect, test } from '@jest/globals';
import { exampleConfig } from '../../test/kit/example-config.ts';
import { route } from '../config/schema/routes.ts';
import { describeRoute } from './describe.ts';

test('describes a route with every key that the schema allows', () => {
  const [described] = exampleConfig().routes.map(describeRoute);
  // Groups were already replaced by their routes.
  const { routes: _, ...keys } = route.shape;
  expect(Object.keys(described ?? {})).toEqual(expect.arrayContaining(Object.keys(keys)));
});
