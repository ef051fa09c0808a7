import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { foldHeaderName, identityPrefixes, isReservedHeader } from '@countersign/identity';
import { trimOws } from '@countersign/jwks';
import { plainAddress } from '@countersign/process-kit';
import {
  type Dialect,
  decidePath,
  headersOfRequest,
  proxySecretHeader,
  removedFromRequest,
} from '@countersign/proxy-config';
import { AppError } from '../errors.ts';
import { rememberNames } from '../http/header-fields.ts';
import type { RawRequest, Signed } from '../pipeline/exchange.ts';
import type { Allowed } from './check-response.ts';

/** The decision about a permitted request, with everything that the proxy needs. */
export type Decided = Omit<Allowed, 'remove'> &
  Readonly<{ requestTarget: string; upstream: string; upgrade: string | undefined }>;

export function decidedOf({ outbound, headers, record, route, upgrade }: Signed): Decided {
  const { limits = [], cors = [], nonce = [] } = record;
  // The client's own headers come first in the list, and the proxy already has those.
  return {
    requestTarget: outbound.requestTarget,
    upstream: route.upstream.name,
    upgrade: upgrade?.protocol,
    set: outbound.headers.slice(headers.length),
    forClient: [...limits, ...cors, ...nonce],
  };
}

/** Returns the headers that the proxy must remove from the request, because the response does not set them. */
export function removedNames({ set }: Decided, tokenHeaders: readonly string[]): readonly string[] {
  const names = new Set(set.filter((_, at) => at % 2 === 0));
  return [...headersOfRequest, ...tokenHeaders].filter((name) => !names.has(name));
}

/** The values in a call that describe the original request, whatever the protocol. */
export type CallValues = Pick<RawRequest, 'method' | 'requestTarget' | 'stream'> &
  Readonly<{
    host: string;
    scheme: string | undefined;
    /** The client's address, as the proxy itself saw it. */
    address: string;
    /** Headers that describe the request, but that the client did not send this way: alternating names and values. */
    described: readonly string[];
    /** Alternating names and values of the client's headers and of the call's own headers. */
    headers: readonly string[];
    useOf: HeaderUses;
  }>;

/** Headers of the call itself. The original request's headers use the dialect's names. */
const framingHeaders: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'expect',
  'keep-alive',
]);

/** Headers that no generated proxy configuration passes on to a service: the proxy sets or removes them. */
const removed: ReadonlySet<string> = new Set([...removedFromRequest({ strip: [] }), 'x-forwarded-for']);

/** A service would see every other reserved name, because a proxy removes headers only by exact name. */
function isForbidden(name: string): boolean {
  const folded = foldHeaderName(name);
  if (identityPrefixes.some((prefix) => folded.startsWith(prefix))) return true;
  return isReservedHeader(folded) && !removed.has(name);
}

/** Envoy sets this header if it sends only part of the body. */
const partialBody = 'x-envoy-auth-partial-body';

/** What a call's header is for, unless it belongs to the original request. */
type HeaderUse =
  | 'dialect'
  | 'other spelling'
  | 'forbidden'
  | 'call'
  | 'request id'
  | 'partial body'
  | 'key'
  | 'request';
export type HeaderUses = (rawName: string) => HeaderUse;

/**
 * @param dialect The headers in the proxy's dialect.
 * @param tokenHeaders The headers of identity tokens, which proxies remove by exact name too.
 */
export function headerUses(dialect: ReadonlySet<string>, tokenHeaders: readonly string[]): HeaderUses {
  const ofTokens = new Set(tokenHeaders.map(foldHeaderName));
  return rememberNames((rawName) => {
    const name = rawName.toLowerCase();
    if (dialect.has(name)) return 'dialect';
    if (dialect.has(foldHeaderName(name))) return 'other spelling';
    // Used only in the log.
    if (name === 'x-request-id') return 'request';
    if (name === partialBody) return 'partial body';
    if (framingHeaders.has(name) || name === proxySecretHeader) return 'call';
    const isAlias = ofTokens.has(foldHeaderName(name)) && !tokenHeaders.includes(name);
    if (isAlias || isForbidden(name)) return 'forbidden';
    return name === 'sec-websocket-key' ? 'key' : 'request';
  });
}

/**
 * Reads the original request from the values of a call.
 *
 * @throws AppError `decision_call_invalid` if the scheme or the address is missing, or if the body is incomplete. Also
 *   for an identity header in any spelling: proxies remove headers only by exact name, so a service could see it.
 */
export function originalRequest(call: CallValues): RawRequest {
  const { method, requestTarget, stream, host, scheme, headers, useOf } = call;
  if (scheme !== 'http' && scheme !== 'https') throw refused('no scheme');
  if (isIP(call.address) === 0) throw refused('no address', call.address);
  const rawHeaders = ['host', host, ...call.described];
  let isUpgrade = false;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    const use = useOf(name);
    if (use === 'forbidden') throw refused('a header that only the gateway may write', name);
    if (use === 'partial body' && value !== 'false') throw refused('a part of the body', name);
    if (use === 'key') isUpgrade = true;
    if (use === 'key' || use === 'request') rawHeaders.push(name, value);
  }
  return {
    // The proxy drops `Upgrade` from its call. A route without WebSockets refuses such a request.
    kind: isUpgrade ? 'upgrade' : 'http',
    method,
    requestTarget,
    httpVersion: '1.1',
    rawHeaders,
    peer: { remoteAddress: plainAddress(call.address), encrypted: scheme === 'https' },
    stream,
    interim: undefined,
  };
}

/** Returns a reader of calls over HTTP, which refuses a call without exactly one of each header of the dialect. */
export function createCallReader(
  dialect: Dialect,
  tokenHeaders: readonly string[],
): (call: IncomingMessage) => RawRequest {
  const { method, requestTarget, host, scheme, address, framing } = dialect;
  const required = [method, requestTarget, host, scheme, address].filter((name) => name !== undefined);
  const useOf = headerUses(
    new Set([...required, ...(framing === undefined ? [] : [framing.length, framing.coding])]),
    tokenHeaders,
  );
  return (call) => {
    const values = callValues(call, required, useOf);
    const from = splitAddress(values.get(address) ?? '');
    return originalRequest({
      ...originalLine(call, dialect, values),
      host: values.get(host) ?? '',
      scheme: values.get(scheme),
      address: from.address,
      described: [
        ...framingOf(dialect, values),
        ...(from.before === undefined ? [] : ['x-forwarded-for', from.before]),
      ],
      headers: call.rawHeaders,
      useOf,
      stream: call,
    });
  };
}

function callValues(
  call: IncomingMessage,
  required: readonly string[],
  useOf: HeaderUses,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (let at = 0; at < call.rawHeaders.length; at += 2) {
    const rawName = call.rawHeaders[at] as string;
    const use = useOf(rawName);
    if (use === 'other spelling') throw refused('another spelling', rawName);
    if (use !== 'dialect' && use !== 'call') continue;
    const name = rawName.toLowerCase();
    const value = call.rawHeaders[at + 1] as string;
    const before = values.get(name);
    if (before !== undefined && use === 'dialect') throw refused('repeated', name);
    values.set(name, before === undefined ? value : `${before},${value}`);
  }
  for (const name of required) if (!values.has(name)) throw refused('absent', name);
  const named =
    values
      .get('connection')
      ?.toLowerCase()
      .split(/[\t ,]+/) ?? [];
  for (const name of named) if (required.includes(name)) throw refused('named in Connection', name);
  return values;
}

function originalLine(call: IncomingMessage, dialect: Dialect, values: ReadonlyMap<string, string>) {
  if (dialect.method !== undefined && dialect.requestTarget !== undefined)
    return { method: values.get(dialect.method) ?? '', requestTarget: values.get(dialect.requestTarget) ?? '' };
  return { method: call.method ?? '', requestTarget: (call.url ?? '').slice(decidePath.length) };
}

/** `before` is the list up to the address that the proxy added. `trustedProxies` decide how much of it counts. */
function splitAddress(list: string): Readonly<{ address: string; before: string | undefined }> {
  const end = list.lastIndexOf(',');
  return { address: trimOws(list, end + 1), before: end === -1 ? undefined : list.slice(0, end) };
}

/** @returns The original request's framing headers, as far as the proxy passes them on. */
function framingOf(dialect: Dialect, values: ReadonlyMap<string, string>): readonly string[] {
  const length = values.get('content-length');
  const coding = values.get('transfer-encoding');
  if (!dialect.showsBody && (coding !== undefined || Number(length ?? 0) > 0))
    throw refused('a body', 'content-length');
  const shown = dialect.showsBody
    ? { length, coding }
    : { length: shownValue(values, dialect.framing?.length), coding: shownValue(values, dialect.framing?.coding) };
  return [
    ...(shown.length === undefined ? [] : ['content-length', shown.length]),
    ...(shown.coding === undefined ? [] : ['transfer-encoding', shown.coding]),
  ];
}

/** If the client sent no such header, a proxy writes an empty one or none. */
const shownValue = (values: ReadonlyMap<string, string>, name: string | undefined): string | undefined =>
  (name === undefined ? undefined : values.get(name)) || undefined;

/** Creates the refusal for a call that does not describe a request correctly. */
export const refused = (reason: string, header = ''): AppError =>
  new AppError('decision_call_invalid', { detail: { reason, header: header.slice(0, 64) } });
