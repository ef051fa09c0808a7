import { contractHeaders, foldHeaderName, isIdentityHeader } from './header-names.ts';
import { IdentityRefused } from './refusal.ts';

/** Headers the verifier reads: those of the contract, and those of the message that a signature covers or that say what its body is. */
const tracked: ReadonlySet<string> = new Set([
  ...contractHeaders,
  'content-type',
  'content-encoding',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'sec-websocket-key',
]);

/** Far above what a gateway sends (100 headers and its own), and low enough to read in a fraction of a millisecond. */
const maxHeaders = 256;
/** Every name that matters is shorter. */
const maxFoldedLength = 64;
const plainName = /^[a-z0-9-]*$/;

export type ReceivedHeaders = Readonly<{
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
export function receiveHeaders(rawHeaders: readonly string[]): ReceivedHeaders {
  if (rawHeaders.length > maxHeaders * 2) throw new IdentityRefused('header_malformed');
  const values = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    if (tracked.has(name)) {
      if (values.has(name)) throw new IdentityRefused('header_duplicated', name);
      values.set(name, trimOws(value));
    } else refuseStranger(name);
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

function refuseStranger(name: string): void {
  const head = name.length > maxFoldedLength ? name.slice(0, maxFoldedLength) : name;
  const plain = plainName.test(head);
  if (!isIdentityHeader(plain ? head : foldHeaderName(head))) return;
  // `X_User_Id` is `x-user-id` to a framework that folds names; no signature covers it.
  throw plain ? new IdentityRefused('coverage_insufficient', head) : new IdentityRefused('header_alias');
}

/** RFC 9421 section 2.1 step 3: without the white space around it. */
function trimOws(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isOws(value.charCodeAt(start))) start += 1;
  while (end > start && isOws(value.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === value.length ? value : value.slice(start, end);
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
