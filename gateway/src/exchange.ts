import type { IncomingMessage } from 'node:http';
import type { Route, Scheme } from './config/config.ts';
import { type AppError, errorTable } from './errors.ts';
import type { Upgrade } from './http/subprotocols.ts';
import type { Params } from './routing/route-table.ts';
import type { Transaction } from './tokens/txn-token.ts';
import type { TokenStatus, VerifiedToken } from './tokens/verified-token.ts';

// Each stage gives a request a new type. The mark cannot be set without a cast, and stages.test.ts checks that each
// cast stands in one file of `stages/`.
declare const passed: unique symbol;
type Passed<Stage extends string> = { readonly [passed]: { readonly [Name in Stage]: true } };

/** What a stage builds before it sets its mark. */
export type Unmarked<Exchange> = Omit<Exchange, typeof passed>;

export type Header = readonly [name: string, value: string];

/**
 * The contents of the request's one log line. Each stage adds what it learns, so that a refusal is logged with it too.
 */
export type RequestRecord = {
  readonly requestId: string;
  readonly method: string;
  /** Without the query, which may hold secrets. */
  readonly path: string;
  readonly startedAt: number;
  address?: string;
  route?: string;
  /** The route's rule that was evaluated last: the one that refused the request, or the last one that passed. */
  rule?: string;
  /** The schemes that the route accepts, and the one that the client used. A 401 challenge depends on both. */
  schemes?: readonly Scheme[];
  scheme?: Scheme;
  identity?: 'user' | 'anonymous' | 'service';
  userId?: string;
  serviceId?: string;
  /** On nested calls for a user: the id of the user's original request. */
  transactionId?: string;
  tenantId?: string;
  upstream?: string;
  /** Of the response, where no `ServerResponse` has it: upgrades and parser errors. */
  status?: number;
  /** The origin that was tried last, and the number of attempts. */
  target?: string;
  attempts?: number;
  /** The error code of the attempt before the last. */
  retriedAfter?: string;
  /** Milliseconds: until the request was signed, then until it had a connection, then until the response began. */
  decidedMs?: number;
  waitedMs?: number;
  upstreamMs?: number;
  code?: string;
  fault?: string;
  detail?: Readonly<Record<string, unknown>>;
  /** The cause of a 5xx. */
  err?: unknown;
  /** Response headers, names and values in turn: what is left of the route's limits. Errors carry them too. */
  limits?: readonly string[];
  /** Likewise: the CORS headers. Where they are set, they replace those of the service. */
  cors?: readonly string[];
  /** Likewise: the nonce for the client's next DPoP proof. */
  nonce?: readonly string[];
  /** Likewise: defaults for headers that the service does not send. */
  defaults?: readonly string[];
};

/** Records an error that comes too late for an error response, because the response has started. */
export function recordFailure(record: RequestRecord, { code }: AppError): void {
  record.code = code;
  record.fault = errorTable[code].fault;
}

/** A request as Node's parser delivers it. Nothing in it is trusted yet. */
export type Arrival = Readonly<{
  request: IncomingMessage;
  kind: 'http' | 'upgrade';
  record: RequestRecord;
  /** Sends `100 Continue` if the client waits for it. Called once, just before the body is read. */
  acceptBody(): void;
  /**
   * Called when the exchange becomes a connection that may stay open for long. It then no longer keeps its
   * configuration in use.
   */
  detach(): void;
}>;

/** The body's framing, as the parser understood it. The bytes are still in the socket. */
export type InboundBody = Readonly<{
  /** A body was announced: a length above zero, or chunks. */
  present: boolean;
  /** Undefined for a chunked body and for no body. */
  length: number | undefined;
  type: string | undefined;
  encoding: string | undefined;
}>;

/** Sanitized: `headers` holds no header that the gateway writes itself, no hop-by-hop header and no credentials. */
export type Incoming = Arrival &
  Readonly<{
    method: string;
    /** The request line's target, byte for byte. */
    rawTarget: string;
    headers: readonly Header[];
    /** Kept apart from `headers`: the route decides which of them are forwarded. */
    credentials: Readonly<{ authorization: string | undefined; dpop: string | undefined; cookie: string | undefined }>;
    /** The client as the gateway sees it; `address` depends on `trustedProxies`. */
    client: Readonly<{
      address: string;
      protocol: 'http' | 'https';
      host: string;
      /** The origin of the page that makes the request, as the browser states it (RFC 6454 section 7). */
      origin: string | undefined;
    }>;
    body: InboundBody;
    /** Upgrades only. */
    upgrade: Upgrade | undefined;
  }> &
  Passed<'sanitize'>;

/** `path` and `query` are canonical, and are what the service receives. */
export type Matched = Incoming &
  Readonly<{ route: Route; params: Params; path: string; query: string }> &
  Passed<'match'>;

/**
 * The authenticated caller. `anonymous` is a result too: the request has no identity, and the route's authentication
 * allows that.
 */
export type Caller =
  | Readonly<{ kind: 'anonymous'; jkt: string | undefined }>
  | Readonly<{
      kind: 'user';
      userId: string;
      role: string;
      tenantId: string;
      token: VerifiedToken;
      /**
       * Whether the token is bound to a key. If it is, a proof showed that this request comes from the key's holder.
       */
      bound: boolean;
      /** Thumbprint of the key whose proof came with this request; at a token endpoint also without a bound token. */
      jkt: string | undefined;
    }>
  /** A service, on the internal listener. Without `user` it calls for itself. */
  | Readonly<{ kind: 'service'; serviceId: string; user?: Transaction }>;

/** The user's token behind a request, which must stay valid while the request goes on. */
export function tokenStatusOf(caller: Caller): TokenStatus | undefined {
  if (caller.kind === 'user') return caller.token;
  return caller.kind === 'service' ? caller.user?.token : undefined;
}

export type Authenticated = Matched &
  Readonly<{
    caller: Caller;
    /** The body, where authentication had to read it. */
    content: Buffer | undefined;
  }> &
  Passed<'authenticate'>;

/** Every rule of the route passed for this caller. */
export type Permitted = Authenticated & Passed<'authorize'>;

/** The route's limits allow the request too. */
export type Admitted = Permitted & Passed<'limit'>;

/** Exactly what the service receives: nothing is added or removed after this. Valid for one attempt. */
export type Signed = Admitted &
  Readonly<{
    outbound: Readonly<{
      method: string;
      /** Path and query, as signed. */
      target: string;
      headers: readonly Header[];
      /** Buffered in digest mode; `stream`: the client's body, forwarded as it arrives. */
      body: Buffer | 'stream' | undefined;
    }>;
  }> &
  Passed<'sign'>;
