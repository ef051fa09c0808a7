import { generateKeyPair, generateProof, type KeyPair } from 'dpop';
import type { components } from './api-types.ts';
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

type SendParts = Readonly<{
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

/** An error response (RFC 9457). Branch on `code`, which is stable. */
export type Problem = components['schemas']['Problem'];

/**
 * A request by the client itself failed: a refresh, or opening an event stream. `api` returns problems as `error`
 * instead.
 */
export class ApiError extends Error {
  readonly status: number;
  /** Undefined if the response was not problem+json, for example from a proxy. */
  readonly problem: Problem | undefined;

  constructor(status: number, problem: Problem | undefined) {
    super(problem === undefined ? `the response has status ${status}` : `${problem.code}: ${problem.title}`);
    this.name = 'ApiError';
    this.status = status;
    this.problem = problem;
  }
}

/** Reads the problem in a response. The body stays readable. Undefined if the response is not problem+json. */
export async function problemOf(response: Response): Promise<Problem | undefined> {
  if (response.headers.get('content-type') !== 'application/problem+json') return undefined;
  return (await response.clone().json()) as Problem;
}

/** The parts of IndexedDB that we use. The types for Node.js lack them. */
type DatabaseRequest = { result: unknown; error: unknown; onsuccess: () => void; onerror: () => void };
type Store = { get(key: string): DatabaseRequest; put(value: unknown, key: string): DatabaseRequest };
type Database = { createObjectStore(name: string): void; transaction(name: string, mode: string): Transaction };
type Transaction = { objectStore(name: string): Store };
type OpenRequest = DatabaseRequest & { onupgradeneeded: () => void };

const storeName = 'keys';

const done = <T>(request: DatabaseRequest): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T);
    request.onerror = () => reject(request.error);
  });

/**
 * Returns this installation's key pair, with a private key that cannot be exported. Browsers keep it in IndexedDB for
 * all tabs of an origin. Elsewhere it lasts as long as the process.
 */
async function installationKey(): Promise<KeyPair> {
  const fresh = await generateKeyPair('ES256', { extractable: false });
  const { indexedDB } = globalThis as unknown as { indexedDB?: { open(name: string): OpenRequest } };
  if (indexedDB === undefined) return fresh;
  const opening = indexedDB.open('countersign');
  opening.onupgradeneeded = () => (opening.result as Database).createObjectStore(storeName);
  const database = await done<Database>(opening);
  // One transaction, so that two tabs that start at the same time use the same key.
  const store = database.transaction(storeName, 'readwrite').objectStore(storeName);
  const known = await done<KeyPair | undefined>(store.get('dpop'));
  if (known !== undefined) return known;
  await done(store.put(fresh, 'dpop'));
  return fresh;
}

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
