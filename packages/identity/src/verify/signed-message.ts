import { isMethod, isPath, isQuery, signatureBytes } from '../contract/grammar.ts';
import { IdentityRefused } from '../contract/refusal.ts';
import {
  componentLine,
  parseSignatureInput,
  type SignatureInput,
  signatureBase,
  type VerifyingKey,
  verifyBase,
} from '../contract/rfc9421.ts';
import type { ReplayStore } from '../replay/replay.ts';
import { assertFresh, type FreshnessRules, type Lifetime, nonceKeepUntilSec } from './freshness.ts';

export type ParsedSignature = Readonly<{ input: SignatureInput; bytes: Buffer }>;

/** A target as `@path` and `@query` (RFC 9421 section 2.2), neither decoded nor normalized. */
export type SignedTarget = Readonly<{ path: string; query: string }>;

/**
 * Splits a request target at its first `?`. RFC 9421 signs a missing query and an empty one alike.
 *
 * @throws IdentityRefused `target_malformed` unless the target is in origin form and a WHATWG URL parser leaves it
 *   unchanged.
 */
export function splitRequestTarget(method: string, target: string): SignedTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark);
  if (!isMethod(method) || !isPath(path) || !isQuery(query)) throw new IdentityRefused('target_malformed');
  return { path, query };
}

/** @throws IdentityRefused `signature_missing`, `signature_malformed` or `tag_mismatch`. */
export function parseSignatureHeaders(headers: ReadonlyMap<string, string>, tag: string): ParsedSignature {
  const inputValue = headers.get('signature-input');
  const signatureValue = headers.get('signature');
  if (inputValue === undefined || signatureValue === undefined) throw new IdentityRefused('signature_missing');
  const input = parseSignatureInput(inputValue);
  const bytes = signatureBytes(signatureValue);
  if (input === undefined || bytes === undefined) throw new IdentityRefused('signature_malformed');
  if (input.tag !== tag) throw new IdentityRefused('tag_mismatch');
  return { input, bytes };
}

/** Whether requests with this signed method only read, and have no body by themselves. */
export const isReadMethod = (method: string): boolean => method === 'GET' || method === 'HEAD';

/** Serializes the component lines of a signature base, in the order of `names`. */
export function componentLines(names: readonly string[], componentValue: (name: string) => string): string {
  let lines = '';
  for (const name of names) lines += `${componentLine(name, componentValue(name))}\n`;
  return lines;
}

/** Returns a function that reads a component (RFC 9421 section 2.2). Every covered header is known to be present. */
export function componentReader(method: string, { path, query }: SignedTarget, headers: ReadonlyMap<string, string>) {
  return (name: string): string => {
    switch (name) {
      case '@method':
        return method;
      case '@path':
        return path;
      case '@query':
        return query === '' ? '?' : query;
      default:
        return headers.get(name) ?? '';
    }
  };
}

/** @throws IdentityRefused `key_unknown`, `algorithm_mismatch` or `signature_invalid`. */
export function assertSignature(key: VerifyingKey | undefined, signature: ParsedSignature, lines: string): void {
  if (key === undefined) throw new IdentityRefused('key_unknown');
  if (key.algorithm !== signature.input.algorithm) throw new IdentityRefused('algorithm_mismatch');
  if (!verifyBase(key, signatureBase(lines, signature.input.raw), signature.bytes)) {
    throw new IdentityRefused('signature_invalid');
  }
}

/**
 * Claims the nonce. This is the last step: if it came earlier, an attacker could use up the nonce of a captured request
 * with an invalid copy. It checks the lifetime again, because the signature may have expired while a slow body arrived.
 *
 * @param at `earliestUseSec` is the first second in which the request could have been accepted. Default: `created`.
 * @throws IdentityRefused `expired`, `replayed` or `created_before_start`; IdentityUnavailable from the store.
 */
export async function claimNonce(
  replay: ReplayStore,
  audience: string,
  input: Lifetime & Readonly<{ nonce: string }>,
  at: { nowSec: number; rules: FreshnessRules; isRead: boolean; earliestUseSec?: number },
): Promise<void> {
  const { nowSec, isRead } = at;
  assertFresh(input, nowSec, at.rules);
  const { nonce } = input;
  const createdSec = at.earliestUseSec ?? input.createdSec;
  const keepUntilSec = nonceKeepUntilSec(input, at.rules);
  const verdict = await replay.claim({ audience, nonce, createdSec, keepUntilSec, nowSec, isRead });
  if (verdict === 'replayed') throw new IdentityRefused('replayed');
  if (verdict === 'before_start') throw new IdentityRefused('created_before_start');
}
