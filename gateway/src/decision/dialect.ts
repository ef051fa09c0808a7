import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { foldHeaderName, identityPrefixes } from '@countersign/identity';
import { decidePath, type ProxyName, proxySecretHeader } from '@countersign/proxy-config';
import { plainAddress } from '@countersign/service-kit';
import { AppError } from '../errors.ts';
import type { RawRequest } from '../pipeline/exchange.ts';

/** How one proxy describes the original request. Nothing is guessed: a call in another dialect is refused. */
export type Dialect = Readonly<{
  /** Headers that the proxy writes, exactly one each. Undefined: the call's own request line or `Host`. */
  method: string | undefined;
  target: string | undefined;
  host: string;
  scheme: string;
  /** The client's address. In a list it is the last one, which the proxy itself added. */
  address: string;
  /** Headers that carry the original `Content-Length` and `Transfer-Encoding`, where the body is not sent. */
  framing: Readonly<{ length: string; coding: string }> | undefined;
  /** The call carries the original body. */
  hasBody: boolean;
  /**
   * The header in which an answer names the headers that the proxy removes. Others remove those that an answer lacks.
   */
  removal: string | undefined;
  /** The proxy passes only 401 and 403 on, so a header carries the original status. */
  hidesStatus: boolean;
}>;

const ownNames = {
  method: 'x-countersign-method',
  target: 'x-countersign-target',
  host: 'host',
  scheme: 'x-countersign-scheme',
  address: 'x-countersign-address',
  framing: { length: 'x-countersign-content-length', coding: 'x-countersign-transfer-encoding' },
  hasBody: false,
  removal: undefined,
  hidesStatus: false,
};

const forwardedNames = {
  method: 'x-forwarded-method',
  target: 'x-forwarded-uri',
  host: 'x-forwarded-host',
  scheme: 'x-forwarded-proto',
  address: 'x-forwarded-for',
  framing: undefined,
  hasBody: false,
  removal: undefined,
  hidesStatus: false,
};

export const dialects: Readonly<Record<ProxyName, Dialect>> = {
  nginx: { ...ownNames, hidesStatus: true },
  haproxy: { ...ownNames, framing: undefined, hasBody: true },
  caddy: forwardedNames,
  traefik: { ...forwardedNames, hasBody: true },
  envoy: {
    ...forwardedNames,
    // Envoy repeats the request line, behind `path_prefix`.
    method: undefined,
    target: undefined,
    host: 'host',
    hasBody: true,
    removal: 'x-envoy-auth-headers-to-remove',
  },
};

/** The original request, and the id that the client or the proxy gave it. */
export type DecisionCall = Readonly<{ request: RawRequest; clientRequestId: string | undefined }>;

/** Headers of the call itself. Those of the original request come in the dialect's. */
const framingHeaders: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'expect',
  'keep-alive',
]);

/**
 * Reads the original request from a call of the proxy.
 *
 * @throws AppError `decision_call_invalid` unless each header of the dialect is there exactly once, under its exact
 *   name. The same for a header whose name is one of the identity contract, in any spelling: a proxy deletes exact
 *   names only, so a service could see it.
 */
export function readCall(call: IncomingMessage, dialect: Dialect): DecisionCall {
  const values = dialectValues(call, dialect);
  const { method, target } = originalLine(call, dialect, values);
  const scheme = values.get(dialect.scheme);
  if (scheme !== 'http' && scheme !== 'https') throw refused('scheme', dialect.scheme);
  const { address, before } = splitAddress(values.get(dialect.address) ?? '');
  const rawHeaders = ['host', values.get(dialect.host) ?? '', ...framingOf(call, dialect, values)];
  if (before !== undefined) rawHeaders.push('x-forwarded-for', before);
  let isUpgrade = false;
  let clientRequestId: string | undefined;
  for (let at = 0; at < call.rawHeaders.length; at += 2) {
    const name = (call.rawHeaders[at] as string).toLowerCase();
    if (name === 'x-request-id') clientRequestId ??= call.rawHeaders[at + 1];
    else if (identityPrefixes.some((prefix) => foldHeaderName(name).startsWith(prefix)))
      throw refused('an identity header of the client', name);
    else if (!values.has(name) && !framingHeaders.has(name) && name !== proxySecretHeader) {
      isUpgrade ||= name === 'sec-websocket-key';
      rawHeaders.push(call.rawHeaders[at] as string, call.rawHeaders[at + 1] as string);
    }
  }
  return {
    request: {
      // The proxy drops `Upgrade` from its call. A route without WebSockets refuses it.
      kind: isUpgrade ? 'upgrade' : 'http',
      method,
      rawTarget: target,
      httpVersion: '1.1',
      rawHeaders,
      peer: { remoteAddress: address, encrypted: scheme === 'https' },
      stream: call,
      interim: undefined,
    },
    clientRequestId,
  };
}

/** The headers of the dialect, by name. */
function dialectValues(call: IncomingMessage, dialect: Dialect): ReadonlyMap<string, string> {
  const { method, target, host, scheme, address, framing } = dialect;
  const required = [method, target, host, scheme, address].filter((name) => name !== undefined);
  const known = new Set([...required, ...(framing === undefined ? [] : [framing.length, framing.coding])]);
  const values = new Map<string, string>();
  for (let at = 0; at < call.rawHeaders.length; at += 2) {
    const name = (call.rawHeaders[at] as string).toLowerCase();
    if (known.has(name)) {
      if (values.has(name)) throw refused('repeated', name);
      values.set(name, call.rawHeaders[at + 1] as string);
    } else if (known.has(foldHeaderName(name))) throw refused('another spelling', name);
  }
  const named = call.headers.connection?.toLowerCase().split(/[\s,]+/) ?? [];
  for (const name of required) {
    if (!values.has(name)) throw refused('absent', name);
    if (named.includes(name)) throw refused('named in Connection', name);
  }
  return values;
}

function originalLine(call: IncomingMessage, dialect: Dialect, values: ReadonlyMap<string, string>) {
  if (dialect.method !== undefined && dialect.target !== undefined)
    return { method: values.get(dialect.method) ?? '', target: values.get(dialect.target) ?? '' };
  return { method: call.method ?? '', target: (call.url ?? '').slice(decidePath.length) };
}

/**
 * `before`: what stood left of the address that the proxy added. It counts only as far as `trustedProxies` wrote it.
 */
function splitAddress(list: string): Readonly<{ address: string; before: string | undefined }> {
  const end = list.lastIndexOf(',');
  const last = list.slice(end + 1).trim();
  if (isIP(last) === 0) throw refused('no address', list.slice(0, 64));
  return { address: plainAddress(last), before: end === -1 ? undefined : list.slice(0, end) };
}

/** Set by Envoy if the body is longer than what it sends. */
const partialBody = 'x-envoy-auth-partial-body';

/** @returns The framing headers of the original request, as far as the proxy shows them. */
function framingOf(call: IncomingMessage, dialect: Dialect, values: ReadonlyMap<string, string>): readonly string[] {
  const { 'content-length': length, 'transfer-encoding': coding } = call.headers;
  if (call.headers[partialBody] === 'true') throw refused('a part of the body', partialBody);
  if (!dialect.hasBody && (coding !== undefined || Number(length ?? 0) > 0)) throw refused('a body', 'content-length');
  const shown = dialect.hasBody
    ? { length, coding }
    : { length: shownValue(values, dialect.framing?.length), coding: shownValue(values, dialect.framing?.coding) };
  return [
    ...(shown.length === undefined ? [] : ['content-length', shown.length]),
    ...(shown.coding === undefined ? [] : ['transfer-encoding', shown.coding]),
  ];
}

/** For a header that the client did not send, a proxy writes an empty one or none. */
const shownValue = (values: ReadonlyMap<string, string>, name: string | undefined): string | undefined =>
  (name === undefined ? undefined : values.get(name)) || undefined;

const refused = (reason: string, header: string): AppError =>
  new AppError('decision_call_invalid', { detail: { reason, header: header.slice(0, 64) } });
