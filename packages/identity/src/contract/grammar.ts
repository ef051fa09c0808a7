import { isIP } from 'node:net';

/** The grammar of one header value. Every regular expression is anchored and runs in linear time. */
export type Grammar = Readonly<{
  /** The grammar as docs/identity-contract.md shows it. */
  text: string;
  matches(value: string): boolean;
}>;

const idCharacters = '[A-Za-z0-9._~:@|-]{1,128}';
/** Ids of users, tenants, services, sessions and keys. */
export const idPattern = new RegExp(`^${idCharacters}$`);
export const rolePattern = /^[a-z0-9_-]{1,64}$/;
const requestId = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const txnToken = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const mediaType = /^[!-~](?:[ -~]*[!-~])?$/;
const upgradeProtocol = /^[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}$/;
const webSocketKey = /^[A-Za-z0-9+/]{22}==$/;

export const id: Grammar = { text: '*id*', matches: (value) => idPattern.test(value) };
export const role: Grammar = { text: '*role*', matches: (value) => rolePattern.test(value) };
/** A UUIDv7 in lower case (RFC 9562 section 5.7). */
export const uuidV7: Grammar = { text: '*UUIDv7*', matches: (value) => requestId.test(value) };
export const maxContextLength = 2048;
export const contextText: Grammar = { text: 'section 5', matches: (value) => value.length <= maxContextLength };
export const threePartToken: Grammar = {
  text: '*token*',
  matches: (value) => value.length <= 4096 && txnToken.test(value),
};
export const printable: Grammar = {
  text: '*printable*',
  matches: (value) => value.length <= 1024 && mediaType.test(value),
};
/** A digest with one member, SHA-256, in canonical base64 (RFC 9530 section 2). */
export const sha256Digest: Grammar = {
  text: 'section 6',
  matches(value) {
    const bytes = Buffer.from(value.slice('sha-256=:'.length, -1), 'base64');
    return bytes.byteLength === 32 && value === `sha-256=:${bytes.toString('base64')}:`;
  },
};
export const protocolToken: Grammar = {
  text: "``[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}``",
  matches: (value) => upgradeProtocol.test(value),
};
export const webSocketNonce: Grammar = {
  text: '`[A-Za-z0-9+/]{22}==`',
  matches: (value) => webSocketKey.test(value),
};

const method = /^[A-Z]{1,20}(?:-[A-Z]{1,20})?$/;
/**
 * The printable ASCII characters that no URL parser rewrites, except `|`, which RFC 3986 does not allow. A framework
 * that parses the URL then sees the same bytes as one that reads the request line.
 */
const path = /^\/(?!\/)[!$-;=@-[\]_a-z~]*$/;
const query = /^(?:\?[!$-&(-;=?-[\]_a-z~]*)?$/;
/**
 * URL parsers resolve dot segments, `%2e` included, so the routed path would differ from the signed path. Servlet
 * containers drop path parameters first: Tomcat reads `/public/..;/admin` as `/admin`, and `/;x/admin` as `//admin`.
 */
const dotSegment = /^\/(?:;|%3b)|\/(?:\.|%2e){1,2}(?:\/|;|%3b|$)/i;
const maxRequestTargetLength = 16 * 1024;

export const isMethod = (value: string) => method.test(value);
export const isPath = (value: string) =>
  value.length <= maxRequestTargetLength && path.test(value) && !dotSegment.test(value);
/** Empty, or `?` followed by the query. */
export const isQuery = (value: string) => value.length <= maxRequestTargetLength && query.test(value);

const issuer = /^[!#-[\]-~]{1,512}$/;
const authMethod = /^[A-Za-z0-9._:-]{1,64}$/;
const scopeToken = /^[!#-[\]-~]{1,128}$/;
const subject = /^[!#-[\]-~]{1,255}$/;
const thumbprint = /^[A-Za-z0-9_-]{43}$/;

/** Printable ASCII without space, quote and backslash, so that its structured-field form needs no escapes. */
export const isIssuer = (value: string) => issuer.test(value);
/** RFC 8176. */
export const isAuthMethod = (value: string) => authMethod.test(value);
/** A scope-token of RFC 6749 section 3.3, of bounded length. */
export const isScope = (value: string) => scopeToken.test(value);
/** `sub` of an actor, with the characters of an issuer. OpenID Connect Core section 2 allows 255. */
export const isSubject = (value: string) => subject.test(value);
/** RFC 7638, SHA-256. */
export const isThumbprint = (value: string) => thumbprint.test(value);
export const isUnixSeconds = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 9_999_999_999;
/** An IPv4 address, or an IPv6 address in a text form of RFC 4291 section 2.2, without a zone. */
export const isAddress = (value: string) => isIP(value) !== 0 && !value.includes('%');

const nonceCharacters = '[A-Za-z0-9_-]{16,64}';
const nonce = new RegExp(`^${nonceCharacters}$`);
export const isNonce = (value: string) => nonce.test(value);

/** The contract's profile of RFC 9421: one label, plain names, six parameters in a fixed order. */
export const signatureInputPattern = new RegExp(
  '^(?=.{0,1024}$)countersign=(?<raw>(?<list>\\((?:"[a-z0-9@-]{1,64}"(?: "[a-z0-9@-]{1,64}")*)?\\))' +
    ';created=(?<created>0|[1-9][0-9]{0,11});expires=(?<expires>0|[1-9][0-9]{0,11})' +
    `;nonce="(?<nonce>${nonceCharacters})";keyid="(?<keyid>${idCharacters})"` +
    ';alg="(?<alg>[a-z0-9-]{1,32})";tag="(?<tag>[a-z0-9-]{1,64})")$',
);
/** The bytes of a `signature` value: 32 or 64 in canonical base64, under our label. Otherwise undefined. */
export function signatureBytes(value: string): Buffer | undefined {
  const bytes = Buffer.from(value.slice('countersign=:'.length, -1), 'base64');
  const isCanonical = value === `countersign=:${bytes.toString('base64')}:`;
  return isCanonical && (bytes.byteLength === 32 || bytes.byteLength === 64) ? bytes : undefined;
}
export const signatureInput: Grammar = { text: 'section 3', matches: (value) => signatureInputPattern.test(value) };
export const signature: Grammar = { text: 'section 3', matches: (value) => signatureBytes(value) !== undefined };
