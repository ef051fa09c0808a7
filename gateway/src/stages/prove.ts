import { AppError } from '../errors.ts';
import type { Matched } from '../exchange.ts';
import type { Dpop } from '../tokens/dpop/dpop.ts';
import type { ProvenRequest } from '../tokens/dpop/dpop-proof.ts';
import type { VerifiedToken } from '../tokens/verified-token.ts';

type Prove = Readonly<{
  /** Whether the route wants to know of a proof without a bound token, and one came. */
  isWanted(matched: Matched): boolean;
  /** A bound token is its client's: @returns the key's thumbprint. @throws AppError `token_*`, `dpop_*`. */
  token(matched: Matched, text: string, token: VerifiedToken): Promise<string>;
  /** A token is going to be bound: @returns the thumbprint of the key to bind it to. @throws AppError `invalid_dpop_proof`, `use_dpop_nonce`. */
  sender(matched: Matched): Promise<string>;
}>;

/**
 * Asks for the proof that comes with a request, under the rules of a protected resource or of a token endpoint: the first refuses with 401
 * (RFC 9449 section 7.1), the second with 400 (sections 5 and 8).
 */
export function createProve(dpop: Dpop | undefined): Prove {
  async function proven(matched: Matched, token: ProvenRequest['token']): Promise<string> {
    const { method, record, rawTarget, credentials } = matched;
    if (dpop === undefined || credentials.dpop === undefined) throw new AppError('token_proof_missing');
    const nonce = dpop.nonce();
    if (nonce !== undefined) record.nonce = ['dpop-nonce', nonce];
    return dpop.prove(credentials.dpop, { method, path: pathOf(rawTarget), token });
  }

  return {
    isWanted: ({ route, credentials }) => route.forward.dpop && credentials.dpop !== undefined,
    async token(matched, text, { claims: { jkt } }) {
      if (jkt === undefined) throw new AppError('token_unbound');
      return proven(matched, { text, jkt });
    },
    async sender(matched) {
      try {
        return await proven(matched, undefined);
      } catch (error) {
        throw asTokenEndpoint(error);
      }
    },
  };
}

/** As the client wrote it: a proof is made for the address that was asked, not for what a rewrite makes of it. */
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
