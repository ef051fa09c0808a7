import { AppError } from '../errors.ts';
import type { Dpop } from '../tokens/dpop/dpop.ts';
import type { ProvenRequest } from '../tokens/dpop/dpop-proof.ts';
import type { VerifiedToken } from '../tokens/verified-tokens.ts';
import type { Matched } from './exchange.ts';

type ProofChecks = Readonly<{
  /** For a bound token. @returns The key's thumbprint. @throws AppError `token_*`, `dpop_*`. */
  forBoundToken(matched: Matched, text: string, token: VerifiedToken): Promise<string>;
  /**
   * For a token that is going to be bound: the route forwards proofs, so it is a token endpoint, and the request has one.
   *
   * @returns The thumbprint of the key to bind it to.
   * @throws AppError `invalid_dpop_proof`, `use_dpop_nonce`.
   */
  forSender(matched: Matched): Promise<string>;
}>;

/**
 * Checks the DPoP proof of a request. A protected resource refuses with 401 (RFC 9449 section 7.1), a token endpoint
 * with 400 (sections 5 and 8).
 */
export function createProofChecks(dpop: Dpop | undefined): ProofChecks {
  async function proven(matched: Matched, token: ProvenRequest['token']): Promise<string> {
    const { method, record, rawTarget, credentials } = matched;
    if (dpop === undefined || credentials.dpop === undefined) throw new AppError('token_proof_missing');
    const nonce = dpop.nonce();
    if (nonce !== undefined) record.nonce = ['dpop-nonce', nonce];
    return dpop.prove(credentials.dpop, { method, path: pathOf(rawTarget), token });
  }

  return {
    async forBoundToken(matched, text, { claims: { jkt } }) {
      if (jkt === undefined) throw new AppError('token_unbound');
      return proven(matched, { text, jkt });
    },
    async forSender(matched) {
      try {
        return await proven(matched, undefined);
      } catch (error) {
        throw asTokenEndpoint(error);
      }
    },
  };
}

/** The path before any rewrite: a client makes its proof for the URL that it requested. */
function pathOf(rawTarget: string): string {
  const query = rawTarget.indexOf('?');
  return query === -1 ? rawTarget : rawTarget.slice(0, query);
}

function asTokenEndpoint(error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  const detail = { ...error.detail, code: error.code };
  if (error.code === 'dpop_nonce_required') return new AppError('use_dpop_nonce', { cause: error, detail });
  if (error.code.startsWith('dpop_proof_')) return new AppError('invalid_dpop_proof', { cause: error, detail });
  return error;
}
