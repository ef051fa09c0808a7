import { expect, test } from '@jest/globals';
import { referenceTable } from '../config/schema/json-schema.ts';
import { type KeyClass, keyClasses, keys } from './key-classes.ts';

/** @returns The class of a key in the form of docs/gateway-yaml.md, such as `routes[].limits[].per`. */
function classOf(key: string): KeyClass | undefined {
  for (const [known, name] of keyClasses) {
    const isWhole = keys[name].includes(`${known}.*`);
    if (key === known || (isWhole && /^[.[]/.test(key.slice(known.length)) && key.startsWith(known))) return name;
  }
  return undefined;
}

const inSchema = Array.from(referenceTable().matchAll(/^\| `([^`]+)`/gm), ([, key = '']) => key);
const isParent = (key: string) => inSchema.some((other) => other.startsWith(`${key}.`) || other.startsWith(`${key}[]`));

test.each(inSchema.filter((key) => classOf(key) === undefined))(
  '%s has a class, or only its members have one',
  (key) => {
    expect(isParent(key)).toBe(true);
  },
);

test('every key that has a class is in the schema', () => {
  expect(inSchema.length).toBeGreaterThan(150);
  // Each map of names has only members.
  const known = new Set([...inSchema, 'services']);
  expect([...keyClasses.keys()].filter((key) => !known.has(key))).toEqual([]);
});

test('a key has one class', () => {
  expect(classOf('routes[].limits[].per')).toBe('operations');
  expect(classOf('routes[].body.mode')).toBe('services');
  expect(classOf('issuers[].claims.role.map')).toBe('policy');
  expect(classOf('issuers[].claims.added')).toBeUndefined();
  expect(classOf('routes[].added')).toBeUndefined();
  expect(classOf('routes[].limitsOfAnotherKind')).toBeUndefined();
});
