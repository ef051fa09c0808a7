import { z } from 'zod';
import type { AllowedParty, Scalar } from '../config.ts';
import { scalar } from './issuers/claim-sources.ts';
import { claimName, partyName, scopeName, unique } from './values/scalars.ts';
import { isList, isMap, isText, oneShape } from './values/shapes.ts';
import { issuerIdentifier } from './values/urls.ts';

const iss = issuerIdentifier.describe('The issuer of the name. Required with two or more issuers.');

/** A client or an actor, by its name at the token's issuer or at another issuer. */
function party(named: z.ZodType<AllowedParty>, key: string) {
  return oneShape<AllowedParty>('text or map', `a text, or { iss, ${key} }`, [
    { fits: isText, schema: partyName.transform((name) => ({ issuer: undefined, name })) },
    { fits: isMap, schema: named },
  ]);
}

export const client = party(
  z
    .strictObject({ iss, id: partyName.describe('The id of the client.') })
    .transform(({ iss: issuer, id: name }) => ({ issuer, name })),
  'id',
);

export const actor = party(
  z
    .strictObject({ iss, sub: partyName.describe('The `sub` of the actor.') })
    .transform(({ iss: issuer, sub: name }) => ({ issuer, name })),
  'sub',
);

const maxParties = 100;
/** As many as the identity contract can carry. */
const maxScopes = 64;

export const allowedActors = z.array(actor).max(maxParties);

export const allowedClients = oneShape<'any' | readonly AllowedParty[]>('list, or any', 'a list of clients, or any', [
  { fits: (raw) => raw === 'any', schema: z.literal('any') },
  { fits: isList, schema: z.array(client).min(1).max(maxParties) },
]);

export const allowedScopes = oneShape<'any' | readonly string[]>('list, or any', 'a list of scopes, or any', [
  { fits: (raw) => raw === 'any', schema: z.literal('any') },
  { fits: isList, schema: unique(scopeName).min(1).max(maxScopes) },
]);

export const claimValues = z
  .record(claimName, unique(scalar).min(1).max(maxParties) as z.ZodType<Scalar[]>)
  .refine((claims) => Object.keys(claims).length > 0, { error: 'must name at least one claim' });
