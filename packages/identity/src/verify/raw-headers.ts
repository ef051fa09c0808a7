import { headerRules } from '../contract/contract.ts';
import { foldHeaderName, isIdentityHeader } from '../contract/header-names.ts';
import { IdentityRefused } from '../contract/refusal.ts';

/** The headers that the verifier reads: those of the contract, and those that frame the body. */
const tracked: ReadonlySet<string> = new Set([
  ...headerRules.map(({ name }) => name),
  'content-encoding',
  'content-length',
  'transfer-encoding',
]);

/** Far above what a gateway sends (100 headers and its own), and low enough to read in a fraction of a millisecond. */
const maxHeaders = 256;
/** Longer than every name of the contract. */
const maxFoldedLength = 64;

export type ParsedHeaders = Readonly<{
  values: ReadonlyMap<string, string>;
  /** One is announced. */
  hasBody: boolean;
}>;

/**
 * Reads raw headers once: name, value, name, value, as they came off the wire. A parsed header object would not do, since it has
 * already dropped or joined duplicates.
 *
 * @throws IdentityRefused on a duplicate, on a body of two lengths, on another spelling of an identity header, and on an identity header that the contract
 *   does not know and no signature could cover.
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
    } else refuseUncovered(name);
  }
  return { values, hasBody: announcesBody(values) };
}

function announcesBody(values: ReadonlyMap<string, string>): boolean {
  const length = values.get('content-length');
  if (!values.has('transfer-encoding')) return length !== undefined && length !== '0';
  // Two ends for one body: somebody between would see another one (RFC 9112 section 6.3).
  if (length !== undefined) throw new IdentityRefused('header_malformed', 'content-length');
  return true;
}

function refuseUncovered(name: string): void {
  const head = name.slice(0, maxFoldedLength);
  const folded = foldHeaderName(head);
  if (!isIdentityHeader(folded)) return;
  // A framework that folds names reads `X_User_Id` as `x-user-id`, which no signature covers.
  throw head === folded ? new IdentityRefused('coverage_insufficient', head) : new IdentityRefused('header_alias');
}

/** RFC 9421 section 2.1 step 3: without the white space around it. */
function trimOws(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isOws(value.charCodeAt(start))) start += 1;
  while (end > start && isOws(value.charCodeAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
