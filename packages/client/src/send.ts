import { problemOf } from './problem.ts';
import type { Proofs } from './proofs.ts';
import { type Outcome, type RetryOptions, sleep, waitBeforeRetry } from './retry.ts';

export type Send = (request: Request) => Promise<Response>;

/** An access token with its scheme. A session that began without a key keeps using bearer tokens. */
export type AccessToken = Readonly<{ value: string; scheme: 'Bearer' | 'DPoP' }>;

/** Provides the access token for each attempt. */
export type TokenSource = Readonly<{
  /** Undefined without a session. Refreshes a token that is about to expire. */
  token(): Promise<AccessToken | undefined>;
  /** Called after a 401 for this token. Undefined if the session has ended. */
  replace(token: AccessToken): Promise<AccessToken | undefined>;
}>;

export type SendParts = Readonly<{
  fetch: (request: Request) => Promise<Response>;
  /** Undefined if the client has no key and uses bearer tokens. */
  proofs: Proofs | undefined;
  retry: RetryOptions;
}>;

/** After these codes a new token can succeed, unless the session has ended. The gateway did not forward the request. */
const replaceable: ReadonlySet<string> = new Set(['token_expired', 'token_revoked', 'token_key_unknown']);

/**
 * Sends requests: adds the token and the proof, answers a nonce challenge, replaces an expired token once, and retries
 * if that is safe.
 *
 * @param tokens Undefined for requests without a session.
 */
export function createSend({ fetch, proofs, retry }: SendParts, tokens?: TokenSource): Send {
  async function attempt(request: Request, token: AccessToken | undefined): Promise<Response> {
    const headers = new Headers(request.headers);
    if (token !== undefined) headers.set('authorization', `${token.scheme} ${token.value}`);
    const isProved = proofs !== undefined && token?.scheme !== 'Bearer';
    if (isProved) headers.set('dpop', await proofs.prove(request, token?.value));
    return fetch(new Request(request.clone(), { headers }));
  }

  async function exchange(request: Request, token: AccessToken | undefined): Promise<Outcome> {
    try {
      const response = await attempt(request, token);
      return { response, code: response.ok ? undefined : (await problemOf(response))?.code };
    } catch (error) {
      request.signal.throwIfAborted();
      return { error };
    }
  }

  return async (request) => {
    let token = await tokens?.token();
    let mayAnswerNonce = true;
    let mayReplaceToken = true;
    for (let sent = 1; ; ) {
      const outcome = await exchange(request, token);
      if ('response' in outcome) {
        const { response, code } = outcome;
        if (proofs?.takeNonce(response, code) && mayAnswerNonce) {
          mayAnswerNonce = false;
          continue;
        }
        if (token !== undefined && mayReplaceToken && code !== undefined && replaceable.has(code)) {
          mayReplaceToken = false;
          token = await tokens?.replace(token);
          if (token === undefined) return response;
          continue;
        }
      }
      const waitMs = waitBeforeRetry(request, outcome, sent, retry);
      if (waitMs === undefined) {
        if ('response' in outcome) return outcome.response;
        throw outcome.error;
      }
      if ('response' in outcome) await outcome.response.body?.cancel();
      await sleep(waitMs, request.signal);
      sent += 1;
    }
  };
}
