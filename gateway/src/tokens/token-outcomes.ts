import type { AppError } from '../errors.ts';

/** The results of verifying one issuer's tokens since the process started. */
export type IssuerOutcomes = { verified: number; readonly refused: Map<string, number> };

/**
 * Counts verifications by issuer. A cached token is not verified again, so this counts tokens, not requests. A token
 * that is malformed, or whose issuer is not trusted, counts under `undefined`.
 */
export class TokenOutcomes {
  readonly #byIssuer = new Map<string | undefined, IssuerOutcomes>();

  verified(issuer: string): void {
    this.of(issuer).verified += 1;
  }

  refused({ code, detail }: AppError): void {
    // Set only for configured issuers, so an unknown issuer's `iss` never becomes a key here.
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
