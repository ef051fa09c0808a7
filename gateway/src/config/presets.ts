import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  claimPath,
  conditions,
  roleSource,
  signingAlgorithms,
  tenantSource,
  tokenTypes,
} from './schema/issuers/issuer-values.ts';
import { claimName, text } from './schema/values/scalars.ts';
import type { Immutable } from './schema/values/shapes.ts';

/** The claims that name the OAuth client in RFC 9068 and OpenID Connect Core. */
export const standardClientClaims = ['client_id', 'azp'] as const;

const preset = z.strictObject({
  types: z.array(z.enum(tokenTypes)),
  algorithms: z.array(z.enum(signingAlgorithms)).default(['RS256']),
  accessToken: conditions.optional(),
  idToken: conditions.optional(),
  mayLackAudience: z.boolean().default(false),
  sharedAudiences: z.array(text).default([]),
  client: z.array(claimName).default([...standardClientClaims]),
  machines: conditions.optional(),
  claims: z
    .strictObject({
      userId: claimPath.prefault('sub'),
      role: roleSource.prefault({ constant: 'user' }),
      tenantId: tenantSource.prefault({ constant: 'default' }),
      sessionId: claimPath.prefault('sid'),
      scope: claimPath.prefault('scope'),
    })
    .prefault({}),
  isOpen: z.boolean().default(false),
  slash: z.enum(['always', 'never', 'either']).default('never'),
  init: z.strictObject({
    audience: z.array(text).default(['audience: AUDIENCE # what aud must contain']),
    defaultAudience: text.default('api'),
    claims: text,
  }),
});

/** See presets.yaml. */
export type Preset = Immutable<z.output<typeof preset>>;

const presets: Readonly<Record<string, Preset>> = z
  .record(z.string(), preset)
  .parse(parse(readFileSync(new URL('./presets.yaml', import.meta.url), 'utf8')));

export const providers = Object.keys(presets);

/** The preset for an issuer without a provider: RFC 9068, with the auth-service's claim names. */
const standard: Preset = {
  ...preset.parse({
    types: ['at+jwt'],
    algorithms: ['ES256', 'RS256', 'EdDSA'],
    claims: { userId: 'user_id', role: 'role', tenantId: 'tenant_id' },
    init: { claims: 'userId: sub, role: { constant: user }, tenantId: { constant: default }' },
  }),
  accessToken: [],
};

/** Whether every `iss` of the provider ends with a slash, or none does. Undefined if unknown. */
export function endsWithSlash({ provider, issuer }: Readonly<{ provider?: string | undefined; issuer: string }>) {
  if (provider === undefined) return /^https:\/\/[a-z0-9.-]+\.auth0\.com\/?$/i.test(issuer) || undefined;
  const { slash } = presetOf(provider);
  return slash === 'either' ? undefined : slash === 'always';
}

export const presetOf = (provider: string | undefined): Preset => presets[provider ?? ''] ?? standard;
