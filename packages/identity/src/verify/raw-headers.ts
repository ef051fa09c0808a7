import { trimOws } from '@countersign/jwks';
import { headerRules } from '../contract/contract.ts';
import { foldHeaderName, isIdentityHeader } from '../contract/header-names.ts';
import { IdentityRefused } from '../contract/refusal.ts';

/** The headers that the verifier reads: the contract's headers, and those that frame the body. */
const tracked: ReadonlySet<string> = new Set([
  ...headerRules.map(({ name }) => name),
  'content-encoding',
  'content-length',
  'transfer-encoding',
]);

/** More than the gateway sends (100 headers and its own), and few enough to parse in a fraction of a millisecond. */
const maxHeaders = 256;
/** Longer names are folded only up to this length. Every name in the contract is shorter. */
const maxFoldedLength = 64;

export type ParsedHeaders = Readonly<{
  values: ReadonlyMap<string, string>;
  /** `content-length` or `transfer-encoding` announces a body. */
  hasBody: boolean;
}>;

/**
 * Parses raw headers: name, value, name, value, as received. A parsed header object would hide duplicates, because
 * Node drops or joins them.
 *
 * @throws IdentityRefused on a duplicate, on a body with two lengths, on an alias of an identity header, and on an
 *   identity header that the contract does not define, since no signature can cover it.
 */
export function parseRawHeaders(rawHeaders: readonly string[]): ParsedHeaders {
  if (rawHeaders.length > maxHeaders * 2) throw new IdentityRefused('header_malformed');
  const values = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    if (tracked.has(name)) {
      if (values.has(name)) throw new IdentityRefused('header_duplicated', name);
      values.set(name, trimOws(value));
    } else refuseIdentityHeader(name);
  }
  return { values, hasBody: announcesBody(values) };
}

function announcesBody(values: ReadonlyMap<string, string>): boolean {
  const length = values.get('content-length');
  const isChunked = values.has('transfer-encoding');
  if (length === undefined) return isChunked;
  // Two parsers could end the body at different bytes (RFC 9112 section 6.3).
  if (isChunked || !/^[0-9]+$/.test(length)) throw new IdentityRefused('header_malformed', 'content-length');
  return length !== '0';
}

function refuseIdentityHeader(name: string): void {
  const head = name.slice(0, maxFoldedLength);
  const folded = foldHeaderName(head);
  if (!isIdentityHeader(folded)) return;
  // A framework that folds names would read `X_User_Id` as `x-user-id`, but the signature does not cover it.
  throw head === folded ? new IdentityRefused('coverage_insufficient', head) : new IdentityRefused('header_alias');
}
