import { isPlainHttp } from '@countersign/service-kit';
import { z } from 'zod';
import type { Refuse } from '../cross-checks.ts';
import { duration, filePath, text } from '../values/scalars.ts';
import { calledUrl, plainHttp } from '../values/urls.ts';

export const introspection = z
  .strictObject({
    url: calledUrl.describe('The URL of the endpoint.'),
    clientId: text.describe('The client id of the gateway at the provider.'),
    clientSecret: text.optional().describe('The secret of that client, from a variable.'),
    clientSecretFile: filePath.optional().describe('A file with the secret, instead of `clientSecret`.'),
    cacheFor: duration({ min: '1s', max: '1h' })
      .prefault('5s')
      .describe('How long an answer is used, at most until the token expires or a revocation arrives.'),
    signed: z.boolean().default(false).describe('Whether to request and require signed answers (RFC 9701).'),
  })
  .describe('Accepts opaque tokens, by asking the issuer (RFC 7662). Only one issuer can have it.');

type Part = z.output<typeof introspection>;

/** @param secret Empty while the file is only checked. */
export function resolveIntrospection(part: Part | undefined, secret: Uint8Array | undefined, shownUrl: string) {
  if (part === undefined) return undefined;
  const { url, clientId, cacheFor, signed } = part;
  return { url, shownUrl: shownUrl || url, clientId, secret: secret ?? new Uint8Array(), cacheForMs: cacheFor, signed };
}

type IntrospectingIssuer = Readonly<{
  introspection?: Part | undefined;
  events?: unknown;
  types: readonly string[];
  hasKeys: boolean;
  hasVariable: boolean;
}>;

/** @param other The index of an earlier issuer with `introspection`. */
export function checkIntrospection(
  { introspection: part, events, types, hasKeys, hasVariable }: IntrospectingIssuer,
  { insecureTransport, other }: Readonly<{ insecureTransport: boolean | undefined; other: number | undefined }>,
  refuse: Refuse,
): void {
  if (part === undefined) return;
  const at = ['introspection'];
  if (other !== undefined) {
    const message = 'is written for two issuers: an opaque token does not name its issuer';
    refuse(at, message, { other: ['issuers', other, 'introspection'] });
  }
  if (hasVariable) refuse(at, 'needs one literal issuer: an opaque token does not name its issuer');
  if (types.includes('id-token')) refuse(at, 'does not go with id-token: ID tokens are never opaque');
  const needsKeys = 'needs keys: set jwks, or discovery: true';
  if (part.signed && !hasKeys) refuse([...at, 'signed'], needsKeys);
  if (events !== undefined && !hasKeys) refuse(['events'], needsKeys);
  if (insecureTransport !== true && isPlainHttp(part.url)) refuse([...at, 'url'], plainHttp);
}
