import { ClientCredentialsProvider } from '@modelcontextprotocol/client';

type Options = Readonly<{ clientId: string; clientSecret: string; expectedIssuer: string; subjectToken: string }>;

/** Exchanges a user's consent for tokens with which the agent acts for the user (RFC 8693). */
export class OnBehalfOf extends ClientCredentialsProvider {
  readonly #subjectToken: string;

  constructor({ subjectToken, ...credentials }: Options) {
    super(credentials);
    this.#subjectToken = subjectToken;
  }

  override prepareTokenRequest(scope?: string): URLSearchParams {
    return new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: this.#subjectToken,
      subject_token_type: 'urn:countersign:token-type:delegation',
      ...(scope !== undefined && { scope }),
    });
  }
}
