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
      .describe("The `iss` in the Security Event Tokens. Default: the issuer, or the provider's value."),
    delivery: z
      .enum(['push'])
      .prefault('push')
      .describe('How events arrive. With `push`, the transmitter sends them (RFC 8935).'),
    secret: text
      .optional()
      .describe('The bearer token that the transmitter sends, at least 32 bytes, from a variable.'),
    secretFile: filePath.optional().describe('A file with the secret, instead of `secret`.'),
    previousSecret: text.optional().describe('A second accepted secret, for use while you replace the first.'),
    previousSecretFile: filePath.optional().describe('A file with the previous secret, instead of `previousSecret`.'),
    jwks: keySource
      .optional()
      .describe(
        "Where to find the transmitter's keys: a URL or a path. Default: the issuer's keys, or the provider's value.",
      ),
    credentialChange: unique(z.enum(credentialChanges))
      .prefault([...credentialChanges])
      .describe("Which changes to a password or other credential end the user's tokens."),
  })
  .describe('Receives Shared Signals events (SSF, CAEP, RISC).');

export const events = z
  .strictObject({
    audience: oneShape('string or list', 'a text, or a list of texts', [
      text.transform((one) => [one]),
      unique(text).min(1).max(32),
    ]).describe(
      'The accepted audiences: `aud` of a logout token or event must contain one of them, such as an OAuth client id.',
    ),
    backchannelLogout: z.boolean().default(false).describe('Whether to receive OpenID back-channel logout tokens.'),
    sharedSignals: sharedSignals.optional(),
    subject: text
      .optional()
      .describe(
        "The token claim that events call `sub`. Must equal `claims.userId`. Default: `sub`, or the provider's claim.",
      ),
    subjectIssuer: issuerIdentifier
      .optional()
      .describe("The `iss` that events use for the issuer's users. Default: the issuer, or the provider's value."),
    sessions: z
      .boolean()
      .optional()
      .describe("Whether tokens must have a session id. Default: true, or the provider's value."),
    maxStaleness: duration({ min: '1s', max: '1h' })
      .prefault('30s')
      .describe('With several gateways: how old the last successful read of their shared log may be.'),
    onStale: z
      .enum(['allow', 'deny'])
      .prefault('allow')
      .describe(
        'Whether the gateway still accepts tokens after `maxStaleness`, and tokens from before the journal began.',
      ),
    onOverflow: z
      .enum(['revoke', 'refuse'])
      .prefault('revoke')
      .describe(
        'What to do when memory holds 2,000,000 entries: refuse older tokens (`revoke`), or refuse events with 503 (`refuse`).',
      ),
  })
  .describe('Ends tokens early when the provider sends a logout or an event. Requires `name` and `journal`.');

type EventsPart = z.output<typeof events>;

/** The parts of an issuer's entry that its events depend on. */
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
      /** If undefined, the issuer's keys are used. */
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
 * @param userId The path to the claim with the user id.
 * @param refuse Reports a problem with this issuer.
 */
export function checkEvents(
  { name, provider, template, revocations, events: part }: Checked,
  userId: readonly string[],
  refuse: Refuse,
): void {
  if (part === undefined) return;
  const { backchannelLogout, sharedSignals: signals } = part;
  if (name === undefined)
    refuse([], '"name" is required with events: it is part of the URL that the provider calls', { absent: 'name' });
  if (revocations !== undefined)
    refuse(['events'], 'cannot be combined with revocations: an issuer may have only one source', {
      other: ['revocations'],
    });
  if (!backchannelLogout && signals === undefined)
    refuse(['events'], 'receives nothing: set backchannelLogout: true, or sharedSignals');
  const subject = part.subject ?? eventPresetOf(provider).subject;
  if (userId.length !== 1 || userId[0] !== subject) {
    const wanted = `must be "${subject}", because events name users by it`;
    refuse(['claims', 'userId'], `${wanted}; or set events.subject`);
  }
  const [values] = Object.values(template ?? {});
  if (values === 'any')
    refuse(
      ['events'],
      'needs a template with a list of values, because keys would otherwise be fetched for any issuer',
    );
  if (Array.isArray(values) && values.length > 1 && (signals !== undefined || part.subjectIssuer !== undefined)) {
    const key = signals === undefined ? 'subjectIssuer' : 'sharedSignals';
    refuse(['events', key], 'needs a separate entry for each template value, because each has its own transmitter');
  }
}
