import { isIP } from 'node:net';

/** The grammar of every value in the contract. Each expression is anchored and linear. */
const id = /^[A-Za-z0-9._~:@|-]{1,128}$/;
const role = /^[a-z0-9_-]{1,64}$/;
const requestId = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const method = /^[A-Z]{1,20}(?:-[A-Z]{1,20})?$/;
/**
 * Printable ASCII, as RFC 9421 makes a base of it, without what a WHATWG URL would write in another way (`"<>^{}` and backtick, `\`,
 * `'` in a query) and without `|`, which RFC 3986 does not know: who sees a URL and who sees the request line read the same bytes.
 */
const path = /^\/(?!\/)[!$-;=@-[\]_a-z~]*$/;
const query = /^(?:\?[!$-&(-;=?-[\]_a-z~]*)?$/;
/** Resolved by a URL parser, `%2e` too, so that the path routed would not be the path signed. */
const dotSegment = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
const txnToken = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const mediaType = /^[!-~](?:[ -~]*[!-~])?$/;
const upgradeProtocol = /^[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}$/;
const webSocketKey = /^[A-Za-z0-9+/]{22}==$/;
const issuer = /^[!#-[\]-~]{1,512}$/;
const method8176 = /^[A-Za-z0-9._:-]{1,64}$/;
const thumbprint = /^[A-Za-z0-9_-]{43}$/;

const maxTargetLength = 16 * 1024;

export const isId = (value: string) => id.test(value);
export const isRole = (value: string) => role.test(value);
/** A UUIDv7 in lower case (RFC 9562). */
export const isRequestId = (value: string) => requestId.test(value);
export const isMethod = (value: string) => method.test(value);
export const isPath = (value: string) => value.length <= maxTargetLength && path.test(value) && !dotSegment.test(value);
/** Empty, or `?` and what follows it. */
export const isQuery = (value: string) => value.length <= maxTargetLength && query.test(value);
export const isTxnToken = (value: string) => value.length <= 4096 && txnToken.test(value);
export const isContentType = (value: string) => value.length <= 1024 && mediaType.test(value);
export const isUpgradeProtocol = (value: string) => upgradeProtocol.test(value);
export const isWebSocketKey = (value: string) => webSocketKey.test(value);
/** Printable ASCII without space, quote and backslash, so that its structured-field form needs no escapes. */
export const isIssuer = (value: string) => issuer.test(value);
export const isAuthMethod = (value: string) => method8176.test(value);
/** RFC 7638, SHA-256. */
export const isThumbprint = (value: string) => thumbprint.test(value);
export const isUnixSeconds = (value: number) => Number.isInteger(value) && value >= 0 && value <= 9_999_999_999;
/** An IPv4 or IPv6 address without a zone. */
export const isAddress = (value: string) => isIP(value) !== 0 && !value.includes('%');
