import { generateProof, type KeyPair } from 'dpop';
import { installationKey } from './key-store.ts';

/** Creates a client's proofs of possession (RFC 9449). */
export class Proofs {
  #key: Promise<KeyPair> | undefined;
  #nonce: string | undefined;

  constructor(key: KeyPair | undefined) {
    if (key !== undefined) this.#key = Promise.resolve(key);
  }

  async prove(request: Request, accessToken: string | undefined): Promise<string> {
    this.#key ??= installationKey();
    const { origin, pathname } = new URL(request.url);
    return generateProof(await this.#key, origin + pathname, request.method, this.#nonce, accessToken);
  }

  /**
   * Remembers a response's nonce.
   *
   * @returns Whether the response asks for a retry with the nonce (RFC 9449 section 8).
   */
  takeNonce(response: Response, code: string | undefined): boolean {
    const nonce = response.headers.get('dpop-nonce');
    if (nonce === null) return false;
    this.#nonce = nonce;
    return code === 'dpop_nonce_required' || code === 'use_dpop_nonce';
  }
}
