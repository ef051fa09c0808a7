import type { AppError } from '../errors.ts';

/** What came of the verifications at one issuer, since the process started. */
export type IssuerOutcomes = { verified: number; readonly refused: Map<string, number> };

/**
 * Counts verifications by issuer. A cached token is not verified again, so these are tokens and not requests. A token
 * whose issuer is not trusted, or that is malformed, counts under `undefined`.
 */
export class TokenOutcomes {
  readonly #byIssuer = new Map<string | undefined, IssuerOutcomes>();

  verified(issuer: string): void {
    this.of(issuer).verified += 1;
  }

  refused({ code, detail }: AppError): void {
    // Set where the issuer is one of the configuration: the claim `iss` of an unknown one is never a key here.
    const issuer = typeof detail?.issuer === 'string' ? detail.issuer : undefined;
    const { refused } = this.of(issuer);
    refused.set(code, (refused.get(code) ?? 0) + 1);
  }

  of(issuer: string | undefined): IssuerOutcomes {
    let outcomes = this.#byIssuer.get(issuer);
    if (outcomes === undefined) {
      outcomes = { verified: 0, refused: new Map() };
      this.#byIssuer.set(issuer, outcomes);
    }
    return outcomes;
  }
}
