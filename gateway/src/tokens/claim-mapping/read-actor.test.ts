import { isIssuer, isSubject } from '@countersign/identity';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readActor } from './read-actor.ts';

const own = 'https://issuer.test';
const read = (act: unknown) => readActor({ act }, own);
/** Builds a chain of actors, each nested in the previous one. */
const chain = (depth: number) => {
  let act: Record<string, unknown> = { sub: `agent-${depth}` };
  for (let level = depth - 1; level > 0; level -= 1) act = { sub: `agent-${level}`, act };
  return act;
};

describe('an actor', () => {
  test.each<[string, unknown, { sub: string; iss: string }]>([
    ["an actor from the token's issuer", { sub: 'agent-1' }, { sub: 'agent-1', iss: own }],
    [
      'an actor from another issuer',
      { sub: 'agent-1', iss: 'https://x.test' },
      { sub: 'agent-1', iss: 'https://x.test' },
    ],
    ['an actor with other claims', { sub: 'a', client_id: 'a', exp: 'never' }, { sub: 'a', iss: own }],
    ['an actor with seven earlier actors', chain(8), { sub: 'agent-1', iss: own }],
    [
      'an actor with an earlier actor from another issuer',
      { sub: 'a', act: { sub: 'b', iss: 'c' } },
      { sub: 'a', iss: own },
    ],
  ])('reads %s', (_name, act, actor) => {
    expect(read(act)).toEqual({ actor, finding: undefined });
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['a text', 'agent-1'],
    ['a number', 1],
    ['false', false],
    ['a list', [{ sub: 'agent-1' }]],
    ['an empty object', {}],
    ['a sub that is a number', { sub: 1 }],
    ['an empty sub', { sub: '' }],
    ['a sub with a space', { sub: 'agent 1' }],
    ['a sub with a quote', { sub: 'agent"1' }],
    ['a sub with a line feed', { sub: 'agent\n1' }],
    ['a sub that is not ASCII', { sub: 'аgent-1' }],
    ['a sub of 256 characters', { sub: 'a'.repeat(256) }],
    ['an iss that is null', { sub: 'a', iss: null }],
    ['an iss that is a list', { sub: 'a', iss: [own] }],
    ['an empty iss', { sub: 'a', iss: '' }],
    ['an iss with a quote', { sub: 'a', iss: 'https://a.test";x="' }],
    ['a malformed earlier actor', { sub: 'a', act: { sub: '' } }],
    ['an earlier actor that is null', { sub: 'a', act: null }],
    ['a malformed actor at the eighth level', JSON.parse(JSON.stringify(chain(8)).replace('agent-8', 'agent 8'))],
    ['nine actors', chain(9)],
    ['a thousand actors', chain(1000)],
    ['claims that are too large', { sub: 'a', note: 'x'.repeat(2048) }],
    ['an earlier actor with claims that are too large', { sub: 'a', act: { sub: 'b', list: Array(1025).fill(1) } }],
  ])('refuses a malformed actor: %s', (_name, act) => {
    expect(read(act)).toMatchObject({ actor: undefined, finding: { code: 'token_actor_invalid', claim: 'act' } });
  });

  test('finds no actor without act, even if a prototype has one', () => {
    for (const payload of [{}, Object.create({ act: { sub: 'a' } })]) {
      expect(readActor(payload, own)).toEqual({ actor: undefined, finding: undefined });
    }
    expect(read(Object.create({ sub: 'a' }))).toMatchObject({ actor: undefined, finding: expect.anything() });
  });

  test('either reads a well-formed outermost actor or refuses the token', () => {
    const sub = fc.oneof(fc.constant('agent-1'), fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 1 }));
    const { act } = fc.letrec((tie) => ({
      act: fc.oneof(
        { maxDepth: 10, depthSize: 'max' },
        fc.jsonValue({ maxDepth: 1 }),
        fc.record({ sub, iss: sub, act: tie('act') }, { requiredKeys: [] }),
      ),
    }));
    fc.assert(
      fc.property(act, (value) => {
        const { actor, finding } = read(value);
        expect(actor === undefined).toBe(finding !== undefined);
        if (actor === undefined) return;
        const given = value as { sub: string; iss?: string };
        expect(actor).toEqual({ sub: given.sub, iss: given.iss ?? own });
        expect(isSubject(actor.sub) && isIssuer(actor.iss)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
