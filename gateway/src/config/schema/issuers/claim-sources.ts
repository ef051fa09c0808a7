import { z } from 'zod';
import type { ClaimPath, Condition, Conditions, Expected, ValueSource } from '../../issuer.ts';
import { orderedMap } from '../values/ordered-map.ts';
import { claimName, id, role, text, unique } from '../values/scalars.ts';
import { hasKey, isList, isMap, isText, oneShape } from '../values/shapes.ts';

/** The longest path to a claim. */
const maxSteps = 8;

const step = text.max(128, { error: 'must be at most 128 characters' });

const oneClaim = claimName.transform((name): ClaimPath => [name]);
const pathToClaim = z.array(step).min(1).max(maxSteps);

const pathShapes = [
  { fits: isText, schema: oneClaim },
  { fits: isList, schema: pathToClaim },
];

/** A claim: its name, or a list of the names that lead to it. */
export const claimPath = oneShape<ClaimPath>(
  'claim or path',
  'the name of a claim, or a path of names such as [realm_access, roles]',
  pathShapes,
);

function sourceShapes(value: typeof role) {
  const otherwise = z
    .union([z.literal('refuse'), value], { error: 'must be refuse, or the value for tokens without such a claim' })
    .meta({ 'x-type': '`refuse`, or a value' })
    .prefault('refuse')
    .describe('What a token without the claim, or without any value of `map`, gets: `refuse`, or a value.');
  return [
    ...pathShapes.map(({ fits, schema }) => ({
      fits,
      schema: (schema as z.ZodType<ClaimPath>).transform((path): ValueSource => ({ kind: 'claim', path })),
    })),
    {
      fits: hasKey('constant'),
      schema: z
        .strictObject({ constant: value.describe('The same value for every token.') })
        .transform(({ constant }): ValueSource => ({ kind: 'constant', value: constant })),
    },
    {
      fits: hasKey('from', 'map'),
      schema: z
        .strictObject({
          from: claimPath.describe('The claim: a text, or a list of texts.'),
          map: orderedMap(value).describe('Its values, and what each means. The first entry that the token has wins.'),
          otherwise,
        })
        .transform(
          ({ from, map, otherwise: other }): ValueSource => ({
            kind: 'mapped',
            path: from,
            map,
            otherwise: other === 'refuse' ? undefined : other,
          }),
        ),
    },
  ];
}

/** Where the role comes from. */
export const roleSource = oneShape<ValueSource>(
  'claim, path or map',
  'a claim, a path, { from, map, otherwise } or { constant }',
  sourceShapes(role),
);

const fromIssuer = {
  fits: hasKey('fromIssuer'),
  schema: z
    .strictObject({ fromIssuer: claimName.describe('The variable of `template`.') })
    .transform(({ fromIssuer: variable }): ValueSource => ({ kind: 'fromIssuer', variable })),
};

/** Where the tenant comes from. */
export const tenantSource = oneShape<ValueSource>(
  'claim, path or map',
  'a claim, a path, { from, map, otherwise }, { constant } or { fromIssuer }',
  [...sourceShapes(id), fromIssuer],
);

export const scalar = z.union([text, z.number(), z.boolean()], { error: 'must be a text, a number, true or false' });

const affix = z.string().min(1, { error: 'must not be empty' }).max(128);

const expected = oneShape<Expected>(
  'condition',
  'a list of accepted values, present, absent, { startsWith } or { endsWith }',
  [
    {
      fits: (raw) => raw === 'present' || raw === 'absent',
      schema: z.enum(['present', 'absent']).transform((is) => ({ is })),
    },
    {
      fits: isList,
      schema: unique(scalar)
        .min(1)
        .transform((values) => ({ is: 'oneOf', values })),
    },
    {
      fits: hasKey('startsWith'),
      schema: z
        .strictObject({ startsWith: affix })
        .transform(({ startsWith }) => ({ is: 'startsWith', text: startsWith })),
    },
    {
      fits: hasKey('endsWith'),
      schema: z.strictObject({ endsWith: affix }).transform(({ endsWith }) => ({ is: 'endsWith', text: endsWith })),
    },
    {
      fits: (raw) => !isMap(raw) && raw !== null,
      schema: scalar.transform((value) => ({ is: 'oneOf', values: [value] })),
    },
  ],
);

const all = z
  .record(claimName, expected)
  .refine((claims) => Object.keys(claims).length > 0, { error: 'must name at least one claim' })
  .transform((claims): readonly Condition[] =>
    Object.entries(claims).map(([claim, value]) => ({ claim, expected: value })),
  );

/** Conditions on claims. In a list of maps, one of the maps must hold. */
export const conditions = oneShape<Conditions>(
  'map, or list of maps',
  'a map of claims and their accepted values, or a list of such maps, of which one must hold',
  [
    { fits: isMap, schema: all.transform((one) => [one]) },
    { fits: isList, schema: z.array(all).min(1).max(16) },
  ],
);
