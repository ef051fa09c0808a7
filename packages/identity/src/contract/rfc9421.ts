import { signatureInputPattern } from './grammar.ts';

/** The label of every Countersign signature (RFC 9421 section 4). */
const label = 'countersign';

/** Names from the HTTP Signature Algorithms registry (RFC 9421 section 6.2). */
export type SignatureAlgorithm = 'ed25519' | 'hmac-sha256';

export type SignatureParams = Readonly<{
  createdSec: number;
  expiresSec: number;
  nonce: string;
  keyid: string;
  algorithm: string;
  tag: string;
}>;

export type SignatureInput = SignatureParams &
  Readonly<{
    /** The covered components exactly as received, including the parentheses. */
    list: string;
    /** The value of `@signature-params`, exactly as received. */
    raw: string;
  }>;

/**
 * Serializes covered components as an inner list (RFC 9421 section 2.5). The names are constants, so nothing needs
 * escaping.
 */
export function componentList(names: readonly string[]): string {
  return `(${names.map((name) => `"${name}"`).join(' ')})`;
}

/** Formats one line of a signature base (RFC 9421 section 2.5), without its line feed. */
export function componentLine(name: string, value: string): string {
  return `"${name}": ${value}`;
}

/**
 * Completes a signature base (RFC 9421 section 2.5).
 *
 * @param lines One line per component, each with its line feed.
 */
export function signatureBase(lines: string, rawParams: string): string {
  return `${lines}"@signature-params": ${rawParams}`;
}

/** Serializes `@signature-params`: the list and all six parameters, in the contract's order. */
export function serializeParams(
  list: string,
  params: Omit<SignatureParams, 'algorithm'> & { algorithm: SignatureAlgorithm },
): string {
  return `${list};created=${params.createdSec};expires=${params.expiresSec};nonce="${params.nonce}";keyid="${params.keyid}";alg="${params.algorithm}";tag="${params.tag}"`;
}

/** Returns the two headers that carry a signature, alternating names and values. */
export function signatureHeaders(rawParams: string, signatureBase64: string): [string, string, string, string] {
  return ['signature-input', `${label}=${rawParams}`, 'signature', `${label}=:${signatureBase64}:`];
}

/**
 * Parses `signature-input`.
 *
 * @returns undefined for several labels, unknown or reordered parameters, escapes, or any other deviation from the
 *   contract's form.
 */
export function parseSignatureInput(value: string): SignatureInput | undefined {
  const groups = signatureInputPattern.exec(value)?.groups;
  if (groups === undefined) return undefined;
  const { raw = '', list = '', created, expires, nonce = '', keyid = '', alg = '', tag = '' } = groups;
  return { raw, list, createdSec: Number(created), expiresSec: Number(expires), nonce, keyid, algorithm: alg, tag };
}
