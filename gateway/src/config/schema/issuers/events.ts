import { type CredentialChange, credentialChanges, eventPresetOf } from '@countersign/signals';
import { z } from 'zod';
import type { Refuse } from '../cross-checks.ts';
import { duration, filePath, text, unique } from '../values/scalars.ts';
import { oneShape } from '../values/shapes.ts';
import { issuerIdentifier, keySource } from '../values/urls.ts';

const sharedSignals = z
  .strictObject({
    transmitter: issuerIdentifier
      .optional()
      .describe('The `iss` of its Security Event Tokens. Default: the issuer, or as `provider` says.'),
    delivery: z.enum(['push']).prefault('push').describe('How events arrive: the transmitter sends them (RFC 8935).'),
    secret: text.optional().describe('The bearer token that the transmitter sends: 32 bytes or more, from a variable.'),
    secretFile: filePath.optional().describe('A file with the secret, instead of `secret`.'),
    previousSecret: text.optional().describe('A second accepted value, while the secret is replaced.'),
    previousSecretFile: filePath.optional().describe('A file with the previous secret, instead of `previousSecret`.'),
    jwks: keySource
      .optional()
      .describe('The keys of the transmitter: a URL or a path. Default: those of the issuer, or as `provider` says.'),
    credentialChange: unique(z.enum(credentialChanges))
      .prefault([...credentialChanges])
      .describe('Which changes of a password or another credential end the tokens of the user.'),
  })
  .describe('Receives events of Shared Signals (SSF, CAEP, RISC).');

export const events = z
  .strictObject({
    audience: oneShape('string or list', 'a text, or a list of texts', [
      text.transform((one) => [one]),
      unique(text).min(1).max(32),
    ]).describe('The values of which `aud` of a logout token or event must contain one, such as a client id.'),
    backchannelLogout: z.boolean().default(false).describe('Whether to receive OpenID back-channel logout tokens.'),
    sharedSignals: sharedSignals.optional(),
    subject: text
      .optional()
      .describe(
        'The claim of tokens that events call `sub`. Must be `claims.userId`. Default: `sub`, or as `provider` says.',
      ),
    subjectIssuer: issuerIdentifier
      .optional()
      .describe('The `iss` that events have for its users. Default: the issuer, or as `provider` says.'),
    sessions: z
      .boolean()
      .optional()
      .describe('Whether its tokens have a session id, which they then need. Default: true, or as `provider` says.'),
    maxStaleness: duration({ min: '1s', max: '1h' })
      .prefault('30s')
      .describe('With several gateways: the maximum age of the last successful read of their log.'),
    onStale: z
      .enum(['allow', 'deny'])
      .prefault('allow')
      .describe('Whether tokens are still accepted after that, and tokens from before the journal began.'),
    onOverflow: z
      .enum(['revoke', 'refuse'])
      .prefault('revoke')
      .describe('What happens when 2,000,000 entries are held: older tokens are refused, or events get 503.'),
  })
  .describe('Ends tokens early when the provider says so. Requires `name` and `journal`.');

type EventsPart = z.output<typeof events>;

/** The parts of an issuer that its events depend on. */
type Owner = Readonly<{ provider?: string | undefined; issuer: string }>;

/** What an issuer's events look like. Secrets are elsewhere, so that replacing one changes no issuer. */
export function resolveEvents(part: EventsPart, { provider, issuer }: Owner, keysPath: (source: string) => string) {
  const preset = eventPresetOf(provider);
  const { sharedSignals: signals } = part;
  const transmitter = signals?.transmitter ?? preset.subjectIssuerOf(issuer);
  const jwks = signals?.jwks ?? preset.jwksOf?.(transmitter);
  return {
    audience: part.audience,
    backchannelLogout: part.backchannelLogout,
    logoutTypes: preset.logoutTypes,
    subjectIssuer: part.subjectIssuer ?? preset.subjectIssuerOf(issuer),
    sessions: part.sessions ?? preset.sessions,
    sharedSignals: signals && {
      transmitter,
      /** Undefined: the keys of the issuer. */
      jwks: jwks && keysPath(jwks),
      timestamps: preset.timestamps,
      credentialChange: signals.credentialChange as readonly CredentialChange[],
    },
    maxStalenessMs: part.maxStaleness,
    onStale: part.onStale,
    onOverflow: part.onOverflow,
  };
}

type Checked = Readonly<{
  name?: string | undefined;
  provider?: string | undefined;
  template?: Readonly<Record<string, readonly string[] | 'any'>> | undefined;
  revocations?: unknown;
  claims?: Readonly<{ userId?: readonly string[] | undefined }> | undefined;
  events?: EventsPart | undefined;
}>;

/**
 * @param userId The path of the claim with the user id.
 * @param refuse Adds a problem of this issuer.
 */
export function checkEvents(
  { name, provider, template, revocations, events: part }: Checked,
  userId: readonly string[],
  refuse: Refuse,
): void {
  if (part === undefined) return;
  const { backchannelLogout, sharedSignals: signals } = part;
  if (name === undefined)
    refuse([], '"name" is required with events: it is a part of the URL that the provider calls', { absent: 'name' });
  if (revocations !== undefined)
    refuse(['events'], 'cannot be combined with revocations: an issuer has one source', { other: ['revocations'] });
  if (!backchannelLogout && signals === undefined)
    refuse(['events'], 'receives nothing: set backchannelLogout: true, or sharedSignals');
  const subject = part.subject ?? eventPresetOf(provider).subject;
  if (userId.length !== 1 || userId[0] !== subject) {
    const wanted = `must be "${subject}", by which events name the user, or they would end nothing`;
    refuse(['claims', 'userId'], `${wanted}; or set events.subject`);
  }
  const [values] = Object.values(template ?? {});
  if (values === 'any')
    refuse(['events'], 'needs a template with a list of values: keys would be fetched for any issuer');
  if (Array.isArray(values) && values.length > 1 && (signals !== undefined || part.subjectIssuer !== undefined)) {
    const key = signals === undefined ? 'subjectIssuer' : 'sharedSignals';
    refuse(['events', key], 'needs an entry for each value of the template: each has its own transmitter');
  }
}
