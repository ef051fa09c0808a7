import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ValueSource } from '../../config/config.ts';
import { readPath } from './claim-path.ts';
import { compileSource } from './value-source.ts';

const mapped = (map: readonly (readonly [string, string])[], otherwise?: string, path = ['roles']): ValueSource => ({
  kind: 'mapped',
  path,
  map,
  otherwise,
});
const read = (source: ValueSource, payload: unknown, variable?: string) => {
  const value = compileSource(source)(JSON.parse(JSON.stringify(payload)) as Record<string, unknown>, variable);
  return 'text' in value ? value.text : 'refused';
};
const map = [
  ['admin', 'admin'],
  ['10', 'tenth'],
  ['2', 'second'],
] as const;

describe('a mapped role', () => {
  test.each<[unknown, string]>([
    [{ roles: 'admin' }, 'admin'],
    [{ roles: ['2', '10'] }, 'tenth'],
    [{ roles: ['2', 'admin'] }, 'admin'],
    [{ roles: ['x'.repeat(1000), '2'] }, 'second'],
    [{ roles: 'admin 2' }, 'refused'],
    [{ roles: ['Admin'] }, 'refused'],
    [{ roles: ['admin '] }, 'refused'],
    [{ roles: ['аdmin'] }, 'refused'],
    [{ roles: ['ADMIN'] }, 'refused'],
    [{ roles: 10 }, 'refused'],
    [{ roles: [10] }, 'refused'],
    [{ roles: { admin: true } }, 'refused'],
    [{ roles: [['admin']] }, 'refused'],
    [{ roles: null }, 'refused'],
    [{ roles: [] }, 'refused'],
    [{}, 'refused'],
  ])('of %j is %s', (payload, role) => {
    expect(read(mapped(map), payload)).toBe(role);
  });

  test.each<[unknown, string]>([
    [{}, 'user'],
    [{ roles: [] }, 'user'],
    [{ roles: ['x'] }, 'user'],
    [{ roles: 'x' }, 'user'],
    [{ roles: null }, 'refused'],
    [{ roles: 7 }, 'refused'],
    [{ roles: { admin: 1 } }, 'refused'],
    [{ roles: ['admin', 1] }, 'refused'],
  ])('of %j is %s, if the fallback is user', (payload, role) => {
    expect(read(mapped(map, 'user'), payload)).toBe(role);
  });

  test.each(['scope', 'scp'])('of %s is split at spaces', (name) => {
    expect(read(mapped(map, undefined, [name]), { [name]: 'openid 2 admin' })).toBe('admin');
    expect(read(mapped(map, undefined, [name]), { [name]: 'openid,admin' })).toBe('refused');
  });

  test('is never read from a prototype', () => {
    const names = ['constructor', 'toString', '__proto__', 'hasOwnProperty'];
    expect(read(mapped(map), { roles: names })).toBe('refused');
    for (const name of names) {
      expect(read(mapped([['x', 'y']], 'user', [name]), {})).toBe('user');
      expect(readPath({}, [name])).toBe('absent');
      expect(readPath({ a: {} }, ['a', name])).toBe('absent');
    }
  });

  test('is read only from own members, whatever names the token has', () => {
    const payload = JSON.parse('{"__proto__":{"roles":["admin"]}}') as Record<string, unknown>;
    expect(compileSource(mapped(map))(payload, undefined)).not.toHaveProperty('text');
    expect(compileSource(mapped(map, undefined, ['__proto__', 'roles']))(payload, undefined)).toMatchObject({
      text: 'admin',
    });
  });

  test('is the first entry that the token has, whatever order the token has', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(names, fc.array(fc.string({ maxLength: 8 })), fc.nat(), (entries, others, seed) => {
        const given = [...others, ...entries.filter((_, index) => (seed >> index) % 2 === 0)];
        const expected = entries.findIndex((entry) => given.includes(entry));
        const source = mapped(entries.map((entry, index) => [entry, `r${index}`]));
        expect(read(source, { roles: given })).toBe(expected === -1 ? 'refused' : `r${expected}`);
      }),
    );
  });
});

describe('a path', () => {
  test.each<[readonly string[], unknown, unknown]>([
    [['a'], { a: 1 }, { value: 1 }],
    [['a.b'], { 'a.b': 1 }, { value: 1 }],
    [['a.b'], { a: { b: 1 } }, 'absent'],
    [['a', 'b'], { a: { b: 1 } }, { value: 1 }],
    [['a', '0'], { a: ['x'] }, 'blocked'],
    [['a', 'length'], { a: 'text' }, 'blocked'],
    [['a', 'length'], { a: ['x'] }, 'blocked'],
    [['a', 'b'], { a: null }, 'blocked'],
    [['a', 'b'], {}, 'absent'],
    [['a', ''], { a: { '': 1 } }, { value: 1 }],
  ])('%j in %j', (path, payload, result) => {
    expect(readPath(payload as Record<string, unknown>, path)).toEqual(result);
  });
});
