import { type CredentialChange, credentialChanges, eventPresetOf } from '@countersign/signals';
import { z } from 'zod';
import { trust } from '../values/key-class.ts';
import { duration, secretKeys, text, unique } from '../values/scalars.ts';
import { calledUrl, issuerIdentifier, keySource } from '../values/urls.ts';
import { audience } from './issuer-values.ts';
import { webhook } from './webhooks.ts';

export const introspection = z
  .strictObject({
    url: calledUrl.meta(trust('The URL of the endpoint.')),
    clientId: text.meta(trust('The client id of the gateway at the provider.')),
    ...secretKeys('clientSecret', 'The secret of that client, from a variable.'),
    cacheFor: duration({ min: '1s', max: '1h' })
      .prefault('5s')
      .meta(trust('How long an answer is used, at most until the token expires or a revocation arrives.', 'more')),
    signed: z.boolean().default(false).meta(trust('Whether to request and require signed answers (RFC 9701).', 'less')),
  })
  .describe('Accepts opaque tokens, by asking the issuer (RFC 7662). Only one issuer can have it.');

type Part = z.output<typeof introspection>;

/** @param secret Empty while the file is only checked. */
export function resolveIntrospection(part: Part | undefined, secret: Uint8Array | undefined, shownUrl: string) {
  if (part === undefined) return undefined;
  const { url, clientId, cacheFor, signed } = part;
  return { url, shownUrl: shownUrl || url, clientId, secret: secret ?? new Uint8Array(), cacheForMs: cacheFor, signed };
}

const sharedSignals = z
  .strictObject({
    transmitter: issuerIdentifier
      .optional()
      .meta(trust("The `iss` in the Security Event Tokens. Default: the issuer, or the provider's value.")),
    delivery: z
      .enum(['push'])
      .prefault('push')
      .meta(trust('How events arrive. With `push`, the transmitter sends them (RFC 8935).')),
    ...secretKeys('secret', 'The bearer token that the transmitter sends, at least 32 bytes, from a variable.'),
    ...secretKeys('previousSecret', 'A second accepted secret, for use while you replace the first.'),
    jwks: keySource
      .optional()
      .meta(trust("The transmitter's keys: a URL or a path. Default: the issuer's keys, or the provider's value.")),
    credentialChange: unique(z.enum(credentialChanges))
      .prefault([...credentialChanges])
      .meta(trust("Which changes to a password or other credential end the user's tokens.", 'less')),
  })
  .describe('Receives Shared Signals events (SSF, CAEP, RISC).');

const revoke = z
  .strictObject({
    ...secretKeys('secret', 'The bearer token of the callers, at least 32 bytes, from a variable.'),
    ...secretKeys('previousSecret', 'A second accepted secret, for use while you replace the first.'),
  })
  .describe('Receives calls of `countersign revoke`, and of your own code, that end a session, a user or a member.');

export const events = z
  .strictObject({
    audience: audience
      .optional()
      .meta(
        trust(
          '`aud` of a logout token or Shared Signals event must contain one of these, such as a client id.',
          'more',
        ),
      ),
    backchannelLogout: z
      .boolean()
      .default(false)
      .meta(trust('Whether to receive OpenID back-channel logout tokens.', 'less')),
    sharedSignals: sharedSignals.optional(),
    webhook: webhook.optional(),
    revoke: revoke.optional(),
    subject: text
      .optional()
      .meta(trust("The claim that events call `sub`: `claims.userId`. Default: `sub`, or the provider's claim.")),
    subjectIssuer: issuerIdentifier
      .optional()
      .meta(trust("The `iss` that events use for the issuer's users. Default: the issuer, or the provider's value.")),
    sessions: z
      .boolean()
      .optional()
      .meta(trust("Whether tokens must have a session id. Default: true, or the provider's value.", 'less')),
    maxStaleness: duration({ min: '1s', max: '1h' })
      .prefault('30s')
      .meta(trust('With several gateways: how old the last successful read of their shared log may be.', 'more')),
    onStale: z
      .enum(['allow', 'deny'])
      .prefault('allow')
      .meta(trust('Whether tokens are accepted after `maxStaleness`, and those from before the journal began.')),
    onOverflow: z
      .enum(['revoke', 'refuse'])
      .prefault('revoke')
      .meta(trust('With 2,000,000 entries in memory: refuse older tokens (`revoke`), or events with 503 (`refuse`).')),
  })
  .describe('Ends tokens early when the provider sends a logout or an event. Requires `name` and `journal`.');

type EventsPart = z.output<typeof events>;

type Owner = Readonly<{ provider?: string | undefined; issuer: string }>;

/** What an issuer's events look like. Secrets are elsewhere, so that replacing one changes no issuer. */
export function resolveEvents(part: EventsPart, { provider, issuer }: Owner, keysPath: (source: string) => string) {
  const preset = eventPresetOf(provider);
  const { sharedSignals: signals } = part;
  const transmitter = signals?.transmitter ?? preset.subjectIssuerOf(issuer);
  const jwks = signals?.jwks ?? preset.jwksOf?.(transmitter);
  return {
    audience: part.audience ?? [],
    backchannelLogout: part.backchannelLogout,
    logoutTypes: preset.logoutTypes,
    subjectIssuer: part.subjectIssuer ?? preset.subjectIssuerOf(issuer),
    sessions: part.sessions ?? preset.sessions,
    sharedSignals: signals && {
      transmitter,
      /** If undefined, the issuer's keys are used. */
      jwks: jwks && keysPath(jwks),
      timestamps: preset.timestamps,
      credentialChange: signals.credentialChange as readonly CredentialChange[],
    },
    webhook: part.webhook && { format: part.webhook.format, where: part.webhook.where },
    revoke: part.revoke !== undefined,
    maxStalenessMs: part.maxStaleness,
    onStale: part.onStale,
    onOverflow: part.onOverflow,
  };
}
