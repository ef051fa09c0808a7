const standard = {
  /** The accepted values of `typ` of a logout token. */
  logoutTypes: ['logout+jwt'] as readonly string[],
  /** The claim of access tokens that events name as `sub`. */
  subject: 'sub',
  /** The `iss` of subjects, and of Security Event Tokens. Derived from the issuer of the access tokens. */
  subjectIssuerOf: (issuer: string): string => issuer,
  /** Where the transmitter publishes its keys. Undefined: the keys of the issuer. */
  jwksOf: undefined as ((transmitter: string) => string) | undefined,
  /** The unit of `event_timestamp`. */
  timestamps: 'seconds' as 'seconds' | 'milliseconds',
  /** Whether access tokens name their session. */
  sessions: true,
};

/** How the events of a provider differ from the specifications. Each page of docs/providers says where it is documented. */
export type EventPreset = Readonly<typeof standard>;

const presets: ReadonlyMap<string, Partial<EventPreset>> = new Map<string, Partial<EventPreset>>([
  // Before version 26, the header of a logout token has the usual typ: only `events` tells it from other tokens.
  ['keycloak', { logoutTypes: ['logout+jwt', 'jwt'] }],
  // Logout tokens have `sid`, and access tokens do not.
  ['auth0', { sessions: false }],
  // Access tokens have no session id.
  ['zitadel', { sessions: false }],
  [
    'okta',
    {
      // Events are those of the org. Its `sub` is the `uid` of access tokens, whose `sub` is the login.
      subject: 'uid',
      subjectIssuerOf: (issuer) => new URL(issuer).origin,
      jwksOf: (transmitter) => `${transmitter}/oauth2/v1/keys`,
      timestamps: 'milliseconds',
      // Access tokens have no session id.
      sessions: false,
    },
  ],
]);

/** @param provider Undefined, or without a preset: as the specifications say. */
export const eventPresetOf = (provider: string | undefined): EventPreset => ({
  ...standard,
  ...presets.get(provider ?? ''),
});
