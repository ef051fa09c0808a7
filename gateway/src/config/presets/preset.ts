import type { ClaimPath, Condition, Conditions, Issuer, TokenType, ValueSource } from '../issuer.ts';

/**
 * What a provider's documentation says about its tokens. A preset only holds values that the file can also set, and the
 * file overrides each of them.
 */
export type Preset = Readonly<{
  types: readonly TokenType[];
  algorithms: Issuer['algorithms'];
  /** What only an access token has. Undefined: this provider's access tokens are not JWTs. */
  accessToken: Conditions | undefined;
  /** What an ID token has, where `types: [id-token]` asks for one. */
  idToken: Conditions;
  /** Whether its access tokens have no `aud`. `clients` takes its place. */
  mayLackAudience: boolean;
  /** Values of `aud` that tokens for every service have. They need `clients` or `require` besides. */
  sharedAudiences: readonly string[];
  client: readonly string[];
  machines: Conditions;
  claims: Readonly<{
    userId: ClaimPath;
    role: ValueSource;
    tenantId: ValueSource;
    sessionId: ClaimPath;
    scope: ClaimPath;
  }>;
  /** Whether anyone in the world may have an account there, so that one constant tenant needs a further claim. */
  isOpen: boolean;
}>;

export const oneOf = (claim: string, ...values: readonly (string | number | boolean)[]): Condition => ({
  claim,
  expected: { is: 'oneOf', values },
});
export const present = (claim: string): Condition => ({ claim, expected: { is: 'present' } });
export const absent = (claim: string): Condition => ({ claim, expected: { is: 'absent' } });
export const startsWith = (claim: string, text: string): Condition => ({
  claim,
  expected: { is: 'startsWith', text },
});
export const endsWith = (claim: string, text: string): Condition => ({ claim, expected: { is: 'endsWith', text } });

/** The role and the tenant of every caller, until the file reads them from claims. */
export const everyUser: ValueSource = { kind: 'constant', value: 'user' };
export const oneTenant: ValueSource = { kind: 'constant', value: 'default' };

/** The names of RFC 9068 and OpenID Connect Core for the client. */
export const standardClient = ['client_id', 'azp'] as const;
