import { z } from 'zod';
import { orderedMap } from '../values/ordered-map.ts';
import { claimName, id, role, text, unique } from '../values/scalars.ts';
import { type Immutable, oneShape } from '../values/shapes.ts';

/**
 * JOSE names of the signing algorithms that an issuer may use. Symmetric ones are excluded: the gateway would need the
 * issuer's secret.
 */
export const signingAlgorithms = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
] as const;
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** The accepted `typ` header values. `none` means no `typ`. `id-token` means ID tokens, and no other tokens. */
export const tokenTypes = ['at+jwt', 'JWT', 'none', 'id-token'] as const;
export type TokenType = (typeof tokenTypes)[number];

export const audience = oneShape('string or list', 'a text, or a list of texts', [
  text.transform((one) => [one]),
  unique(text).min(1).max(32),
]);

/** The name of a claim, followed by names of members inside it. */
export type ClaimPath = readonly string[];

const maxSteps = 8;
const step = text.max(128, { error: 'must be at most 128 characters' });

const oneClaim = claimName.transform((name): ClaimPath => [name]);
const pathToClaim = z.array(step).min(1).max(maxSteps);

export const claimPath = oneShape(
  'claim or path',
  'the name of a claim, or a path of names such as [realm_access, roles]',
  [oneClaim, pathToClaim],
);

const claimOf = (path: ClaimPath) => ({ kind: 'claim' as const, path });

function sourceShapes(value: typeof role) {
  const otherwise = z
    .union([z.literal('refuse'), value], { error: 'must be refuse, or the value to use if the claim is missing' })
    .meta({ 'x-type': '`refuse`, or a value' })
    .prefault('refuse')
    .describe('The value to use if the token lacks the claim, or if `map` has no entry for it; or `refuse`.');
  return [
    oneClaim.transform(claimOf),
    pathToClaim.transform(claimOf),
    z
      .strictObject({ constant: value.describe('The value for every token.') })
      .transform(({ constant }) => ({ kind: 'constant' as const, value: constant })),
    z
      .strictObject({
        from: claimPath.describe('The claim: a text, or a list of texts.'),
        map: orderedMap(value).describe('The value to use for each claim value. The first matching entry wins.'),
        otherwise,
      })
      .transform(({ from, map, otherwise: other }) => ({
        kind: 'mapped' as const,
        path: from,
        map,
        /** If undefined, the token is refused. */
        otherwise: other === 'refuse' ? undefined : other,
      })),
  ] as const;
}

export const roleSource = oneShape(
  'claim, path or map',
  'a claim, a path, { from, map, otherwise } or { constant }',
  sourceShapes(role),
);

const fromIssuer = z
  .strictObject({ fromIssuer: claimName.describe('The variable of `template`.') })
  .transform(({ fromIssuer: variable }) => ({ kind: 'fromIssuer' as const, variable }));

export const tenantSource = oneShape(
  'claim, path or map',
  'a claim, a path, { from, map, otherwise }, { constant } or { fromIssuer }',
  [...sourceShapes(id), fromIssuer],
);

export type ValueSource = Immutable<z.output<typeof tenantSource>>;

export const scalar = z.union([text, z.number(), z.boolean()], { error: 'must be a text, a number, true or false' });

export type Scalar = z.output<typeof scalar>;

const affix = z.string().min(1, { error: 'must not be empty' }).max(128);
const oneOf = (values: readonly Scalar[]) => ({ is: 'oneOf' as const, values });

const expected = oneShape('condition', 'a list of accepted values, present, absent, { startsWith } or { endsWith }', [
  z.enum(['present', 'absent']).transform((is) => ({ is })),
  unique(scalar).min(1).transform(oneOf),
  z.strictObject({ startsWith: affix }).transform(({ startsWith: text }) => ({ is: 'startsWith' as const, text })),
  z.strictObject({ endsWith: affix }).transform(({ endsWith: text }) => ({ is: 'endsWith' as const, text })),
  scalar.transform((value) => oneOf([value])),
]);

/** A test of one claim. If the claim is a list, one of its items must pass. */
export type Expected = Immutable<z.output<typeof expected>>;
export type Condition = Readonly<{ claim: string; expected: Expected }>;
/** Alternatives: one must hold. An alternative holds if all its conditions hold. */
export type Conditions = readonly (readonly Condition[])[];

const all = z
  .record(claimName, expected)
  .refine((claims) => Object.keys(claims).length > 0, { error: 'must name at least one claim' })
  .transform((claims): readonly Condition[] =>
    Object.entries(claims).map(([claim, value]) => ({ claim, expected: value })),
  );

export const conditions = oneShape(
  'map, or list of maps',
  'a map of claims and their accepted values, or a list of such maps (one of them must hold)',
  [all.transform((one) => [one]), z.array(all).min(1).max(16)],
);
