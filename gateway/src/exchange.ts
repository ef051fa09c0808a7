import type { IncomingMessage } from 'node:http';
import type { Route, Scheme } from './config/config.ts';
import type { Upgrade } from './http/subprotocols.ts';
import type { Params } from './routing/route-table.ts';
import type { Transaction } from './tokens/txn-token.ts';
import type { TokenStatus, VerifiedToken } from './tokens/verified-token.ts';

// A request is a value that gains a type at each stage. The mark cannot be written outside a stage without a cast, and
// each cast stands in one file: `stages/` has exactly one `as Matched`, one `as Permitted` and so on (stages.test.ts).
declare const passed: unique symbol;
type Passed<Stage extends string> = { readonly [passed]: { readonly [Name in Stage]: true } };

/** What a stage puts together, before it says that it is done. */
export type Unmarked<Exchange> = Omit<Exchange, typeof passed>;

export type Header = readonly [name: string, value: string];

/** What the request's one log line is made of. Stages write down what they learn, so that a refusal shows it too. */
export type RequestRecord = {
  readonly requestId: string;
  readonly method: string;
  /** Without the query, which may hold what should not be logged. */
  readonly path: string;
  readonly startedAt: number;
  address?: string;
  route?: string;
  /** The rule of the route that was asked last: the one that refused, or where none did the last that held. */
  rule?: string;
  /** How the route may be asked with a token, and how this client did: what a 401 goes by. */
  schemes?: readonly Scheme[];
  scheme?: Scheme;
  identity?: 'user' | 'anonymous' | 'service';
  userId?: string;
  serviceId?: string;
  /** On nested calls for a user: the id of the request that began it all. */
  transactionId?: string;
  tenantId?: string;
  upstream?: string;
  /** Of the answer, where no `ServerResponse` knows it: upgrades and parser errors. */
  status?: number;
  /** The origin that was asked last, and how many attempts there were. */
  target?: string;
  attempts?: number;
  /** The code of the attempt before the last. */
  retriedAfter?: string;
  /** Milliseconds: until signed, from then until there was a connection, and from then until the service's answer began. */
  decidedMs?: number;
  waitedMs?: number;
  upstreamMs?: number;
  code?: string;
  fault?: string;
  detail?: Readonly<Record<string, unknown>>;
  /** What was behind a 5xx. */
  err?: unknown;
  /** For the answer, whoever gives it, names and values in turn: what is left of the route's limits. */
  limits?: readonly string[];
  /** The same: who may read it. Where it is set the service is not asked. */
  cors?: readonly string[];
  /** The same: what a client is to put into its next DPoP proof. */
  nonce?: readonly string[];
  /** The same, where the service says nothing on it. */
  defaults?: readonly string[];
};

/** A request as node's parser hands it over: nothing in it is trusted yet. */
export type Arrival = Readonly<{
  request: IncomingMessage;
  kind: 'http' | 'upgrade';
  record: RequestRecord;
  /** Sends `100 Continue` where the client waits for it; called once, just before the body is read. */
  acceptBody(): void;
  /** It has become a connection that may stay open for long, and no longer keeps the configuration in use that let it in. */
  detach(): void;
}>;

/** The body's framing, as the parser understood it. The bytes are still in the socket. */
export type InboundBody = Readonly<{
  /** A body was announced: a length above zero, or chunks. */
  present: boolean;
  /** Undefined: chunked, or no body at all. */
  length: number | undefined;
  type: string | undefined;
  encoding: string | undefined;
}>;

/** Cleaned: `headers` holds nothing that the gateway writes itself, no hop-by-hop header and no credentials. */
export type Incoming = Arrival &
  Readonly<{
    method: string;
    /** The request line's target, byte for byte. */
    rawTarget: string;
    headers: readonly Header[];
    /** Taken aside: they pass only where the route says so. */
    credentials: Readonly<{ authorization: string | undefined; dpop: string | undefined; cookie: string | undefined }>;
    /** As the gateway saw it; `address` goes by `trustedProxies`. */
    client: Readonly<{
      address: string;
      protocol: 'http' | 'https';
      host: string;
      /** The page that a browser asks for, as the browser says it (RFC 6454 section 7). */
      origin: string | undefined;
    }>;
    body: InboundBody;
    /** Upgrades only. */
    upgrade: Upgrade | undefined;
  }> &
  Passed<'sanitize'>;

/** `path` and `query` are canonical, and already what the service will get. */
export type Matched = Incoming &
  Readonly<{ route: Route; params: Params; path: string; query: string }> &
  Passed<'match'>;

/** Who asks. `anonymous` is a statement too: this request brought no identity, and the route lets that pass so far. */
export type Caller =
  | Readonly<{ kind: 'anonymous'; jkt: string | undefined }>
  | Readonly<{
      kind: 'user';
      userId: string;
      role: string;
      tenantId: string;
      token: VerifiedToken;
      /** Whether the token is bound to a key. If so, that key's holder sent this request. */
      bound: boolean;
      /** Thumbprint of the key that a proof came from with this request; also of a token endpoint's client without a bound token. */
      jkt: string | undefined;
    }>
  /** On the internal listener. Without `user` it acts for nobody but itself. */
  | Readonly<{ kind: 'service'; serviceId: string; user?: Transaction }>;

/** The user's token behind a request, for as long as the request goes on. */
export function tokenStatusOf(caller: Caller): TokenStatus | undefined {
  if (caller.kind === 'user') return caller.token;
  return caller.kind === 'service' ? caller.user?.token : undefined;
}

export type Authenticated = Matched &
  Readonly<{
    caller: Caller;
    /** The body, where it had to be read to know who asks. */
    content: Buffer | undefined;
  }> &
  Passed<'authenticate'>;

/** Every rule of the route holds for this caller. */
export type Permitted = Authenticated & Passed<'authorize'>;

/** Within the route's limits too. */
export type Admitted = Permitted & Passed<'limit'>;

/** What goes to the service, whole: nothing is added or taken away after this. Good for one attempt. */
export type Signed = Admitted &
  Readonly<{
    outbound: Readonly<{
      method: string;
      /** Path and query, as signed. */
      target: string;
      headers: readonly Header[];
      /** Buffered in digest mode; `stream`: the request's own body, as it comes. */
      body: Buffer | 'stream' | undefined;
    }>;
  }> &
  Passed<'sign'>;
