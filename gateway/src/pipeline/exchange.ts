import type { Readable } from 'node:stream';
import type { Route } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Upgrade } from '../http/websocket-handshake.ts';
import type { HeldBody } from '../limits/body-memory.ts';
import type { Params, Policy } from '../routing/policy.ts';
import type { Transaction } from '../tokens/txn-token.ts';
import type { TokenStatus, VerifiedToken } from '../tokens/verified-tokens.ts';
import type { RequestRecord } from './request-record.ts';

/** The body's framing, as the parser understood it. The bytes have not been read yet. */
export type InboundBody = Readonly<{
  /** Whether the request announces a body: a length above zero, or chunks. */
  present: boolean;
  /** Undefined for a chunked body, or if there is no body. */
  length: number | undefined;
  type: string | undefined;
  encoding: string | undefined;
}>;

/** Whether a body is allowed. For GET and HEAD, it has no defined meaning (RFC 9110 section 9.3.1). */
export const hasContent = (method: string): boolean => method !== 'GET' && method !== 'HEAD';

/** Decides whether a body is too large: first by its announced length, then by the bytes that have arrived. */
export const refusalOfSize = (bytes: number, maxBytes: number): AppError | undefined =>
  bytes > maxBytes ? new AppError('payload_too_large', { detail: { maxBytes } }) : undefined;

/** Kept apart from the other headers, because the route decides which of these to forward. */
export type Credentials = Readonly<{
  authorization: string | undefined;
  dpop: string | undefined;
  cookie: string | undefined;
}>;

/** The client as the gateway sees it. `trustedProxies` determines `address`. */
export type Client = Readonly<{
  address: string;
  protocol: 'http' | 'https';
  host: string;
  /** The origin of the page that makes the request, as the browser sent it (RFC 6454 section 7). */
  origin: string | undefined;
}>;

/** The authenticated caller. `anonymous` is a result too: the request has no identity, and the route allows that. */
export type Caller =
  | Readonly<{ kind: 'anonymous'; jkt: string | undefined }>
  | Readonly<{
      /** An OAuth client with its own token has the kind `client`, never `user`. */
      kind: 'user' | 'client';
      token: VerifiedToken;
      /** If so, a proof showed that the key's holder made this request. */
      bound: boolean;
      /** The key whose proof came with this request. At a token endpoint, also without a bound token. */
      jkt: string | undefined;
    }>
  /** A service on the internal listener. Without `principal`, it calls on its own behalf. */
  | Readonly<{ kind: 'service'; serviceId: string; principal?: Transaction | undefined }>;

/** Returns the token behind a request. It must stay valid until the request is over. */
export function tokenStatusOf(caller: Caller): TokenStatus | undefined {
  if (caller.kind === 'anonymous') return undefined;
  return caller.kind === 'service' ? caller.principal?.token : caller.token;
}

/** What the service receives in one attempt. Nothing is added or removed after signing. */
export type Outbound = Readonly<{
  method: string;
  requestTarget: string;
  /** Alternating names and values. */
  headers: readonly string[];
  /** The index where the headers begin whose values need no check, because the gateway wrote them. */
  trustedFrom: number;
  /** In digest mode, the buffered body. `stream` means that the client's body is forwarded as it arrives. */
  body: Buffer | 'stream' | undefined;
  createdSec: number;
  nonce: string;
}>;

export type Peer = Readonly<{ remoteAddress?: string | undefined; encrypted?: boolean }>;

/** A body that is still arriving, such as Node's `IncomingMessage`. `complete` means that all of it has arrived. */
export type BodyStream = Readable & Readonly<{ complete: boolean }>;

/** A request as plain values, independent of how it arrived. */
export type RawRequest = Pick<
  Exchange,
  'kind' | 'method' | 'requestTarget' | 'httpVersion' | 'rawHeaders' | 'peer' | 'stream' | 'interim'
>;

/**
 * One request, and everything that the stages find out about it. All stages share this object, and each fills in its
 * own fields. The type shows which stages the request has passed: each stage takes the previous stage's type and
 * returns its own.
 */
export class Exchange {
  readonly kind: 'http' | 'upgrade';
  readonly method: string;
  /** The request target, byte for byte. */
  readonly requestTarget: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  readonly peer: Peer;
  readonly stream: BodyStream;
  /** Tells a waiting client to send the body. Undefined for an upgrade. */
  readonly interim: Readonly<{ writeContinue(): void }> | undefined;
  readonly record: RequestRecord;
  readonly release: (record: RequestRecord) => void;
  readonly holdBody: (address: string) => HeldBody;

  // Set by sanitize.
  /** Alternating names and values, without hop-by-hop headers, credentials, and those that the gateway writes. */
  headers: readonly string[] | undefined = undefined;
  credentials: Credentials | undefined = undefined;
  client: Client | undefined = undefined;
  body: InboundBody | undefined = undefined;
  upgrade: Upgrade | undefined = undefined;

  // Set by match. `path` and `query` are canonical, and the service receives them as they are.
  route: Route | undefined = undefined;
  policy: Policy | undefined = undefined;
  params: Params | undefined = undefined;
  path = '';
  query = '';

  // Set by authenticate. `content` is the body, if authentication had to read the body.
  caller: Caller | undefined = undefined;
  content: Buffer | undefined = undefined;

  // Set by sign, for the first attempt.
  outbound: Outbound | undefined = undefined;

  constructor(
    request: RawRequest,
    record: RequestRecord,
    release: (record: RequestRecord) => void,
    holdBody: (address: string) => HeldBody,
  ) {
    this.kind = request.kind;
    this.method = request.method;
    this.requestTarget = request.requestTarget;
    this.httpVersion = request.httpVersion;
    this.rawHeaders = request.rawHeaders;
    this.peer = request.peer;
    this.stream = request.stream;
    this.interim = request.interim;
    this.record = record;
    this.release = release;
    this.holdBody = holdBody;
  }

  /** Sends `100 Continue` if asked (RFC 9110 section 10.1.1), just before the body is read. */
  acceptBody(): void {
    if (this.httpVersion === '1.1' && expectsContinue(this.rawHeaders)) this.interim?.writeContinue();
  }

  /** Called when the exchange becomes a connection that may stay open for a long time. */
  detach(): void {
    this.release(this.record);
  }
}

const expectsContinue = (rawHeaders: readonly string[]): boolean =>
  rawHeaders.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'expect' && is100Continue(rawHeaders[at + 1]));

const is100Continue = (value: string | undefined): boolean => value?.toLowerCase() === '100-continue';

// Only a cast can set a stage's mark. stages.test.ts checks that each cast occurs in exactly one file in this folder.
declare const passed: unique symbol;
type Passed<Stage extends string> = { readonly [passed]: { readonly [Name in Stage]: true } };

/** A request as it arrived. Nothing in it is trusted yet. */
export type Arrival = Readonly<Exchange>;

export type Incoming = Arrival &
  Readonly<{ headers: readonly string[]; credentials: Credentials; client: Client; body: InboundBody }> &
  Passed<'sanitize'>;

/** What the gateway's own responses read of a request. */
export type OwnRequest = Pick<Incoming, 'method' | 'requestTarget' | 'headers' | 'client' | 'body' | 'record'>;

export type Matched = Incoming & Readonly<{ route: Route; policy: Policy; params: Params }> & Passed<'match'>;

export type Authenticated = Matched & Readonly<{ caller: Caller }> & Passed<'authenticate'>;

export type Permitted = Authenticated & Passed<'authorize'>;

export type Admitted = Permitted & Passed<'limit'>;

/** A retry is signed again. Its attempt has its own outbound request, which the first attempt never sees. */
export type SignedOutbound = Outbound & Passed<'sign'>;

export type Signed = Admitted & Readonly<{ outbound: SignedOutbound }> & Passed<'sign'>;
