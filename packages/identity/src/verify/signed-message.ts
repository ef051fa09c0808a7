import { isMethod, isPath, isQuery } from '../contract/grammar.ts';
import { IdentityRefused } from '../contract/refusal.ts';
import {
  componentLine,
  parseSignature,
  parseSignatureInput,
  type SignatureInput,
  signatureBase,
} from '../contract/rfc9421.ts';
import { type VerifyingKey, verifyBase } from '../keys/keys.ts';
import type { ReplayStore } from '../replay/replay.ts';
import { assertFresh, type FreshnessRules, nonceKeepUntilSec } from './freshness.ts';

export type ParsedSignature = Readonly<{ input: SignatureInput; bytes: Buffer }>;

/** The target of a request line, split as RFC 9421 sections 2.2.6 and 2.2.7 sign it; never decoded, never normalised. */
export type SignedTarget = Readonly<{ path: string; query: string }>;

/**
 * Splits a request target at its first `?`. No query and an empty one are the same in RFC 9421.
 *
 * @throws IdentityRefused `target_malformed` for anything but origin form in the characters and segments that a WHATWG URL keeps.
 */
export function splitTarget(method: string, target: string): SignedTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark);
  if (!isMethod(method) || !isPath(path) || !isQuery(query)) throw new IdentityRefused('target_malformed');
  return { path, query };
}

/** @throws IdentityRefused `signature_missing`, `signature_malformed` or `tag_mismatch`. */
export function readSignature(headers: ReadonlyMap<string, string>, tag: string): ParsedSignature {
  const inputValue = headers.get('signature-input');
  const signatureValue = headers.get('signature');
  if (inputValue === undefined || signatureValue === undefined) throw new IdentityRefused('signature_missing');
  const input = parseSignatureInput(inputValue);
  const bytes = parseSignature(signatureValue);
  if (input === undefined || bytes === undefined) throw new IdentityRefused('signature_malformed');
  if (input.tag !== tag) throw new IdentityRefused('tag_mismatch');
  return { input, bytes };
}

/** @param componentValue The value of each component, in the list's order. */
export function componentLines(names: readonly string[], componentValue: (name: string) => string): string {
  let lines = '';
  for (const name of names) lines += `${componentLine(name, componentValue(name))}\n`;
  return lines;
}

/** Derived components of RFC 9421 section 2.2, and headers. Who asks made sure that every covered header is present. */
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
 * Uses up the nonce. The last step, once everything else holds: otherwise anybody could use up nonces they saw. The lifetime is
 * looked at once more, since a slow body may have outlived it and its nonce could then be forgotten at once.
 *
 * @param at `earliestUseSec`: the first second in which the request could have been accepted. Default: when it was created.
 * @throws IdentityRefused `expired`, `replayed` or `created_before_start`; IdentityUnavailable from the store.
 */
export async function claimNonce(
  replay: ReplayStore,
  audience: string,
  input: SignatureInput,
  at: { nowSec: number; rules: FreshnessRules; earliestUseSec?: number },
): Promise<void> {
  assertFresh(input, at.nowSec, at.rules);
  const { keyid, nonce } = input;
  const createdSec = at.earliestUseSec ?? input.createdSec;
  const keepUntilSec = nonceKeepUntilSec(input, at.rules);
  const verdict = await replay.claim({ audience, keyid, nonce, createdSec, keepUntilSec, nowSec: at.nowSec });
  if (verdict === 'replayed') throw new IdentityRefused('replayed');
  if (verdict === 'before_start') throw new IdentityRefused('created_before_start');
}
