import { token as tokenGrammar } from '@countersign/http1-client';
import { trimOws } from '@countersign/jwks';
import { AppError } from '../errors.ts';

export type Upgrade = Readonly<{
  protocol: 'websocket';
  key: string;
  version: string | undefined;
  /** The subprotocols from which the service may choose. */
  subprotocols: readonly string[];
  /** Whether the client offered `countersign`. The gateway chooses that name if the service chooses none. */
  isMarked: boolean;
}>;

/** A browser can set no other header on a WebSocket: it sends the subprotocols `countersign, bearer.TOKEN`. */
const mark = 'countersign';
const prefix = 'bearer.';
const webSocketKey = /^[A-Za-z0-9+/]{22}==$/;

/**
 * Removes the token from the offered subprotocols. The client must also offer `countersign`: a browser closes the
 * connection unless the server chooses one of the offered names, and the gateway must never send back the token.
 *
 * @param value The joined values of all `Sec-WebSocket-Protocol` headers.
 * @throws AppError `invalid_request` unless the value is a list of distinct names with at most one token, which needs
 *   `countersign` in the list.
 * @see RFC 6455 section 4.1, items 10 and 12; Fetch and WebSockets Standards on an unanswered protocol
 */
export function readSubprotocols(value: string | undefined) {
  const names = value?.split(',').map((name) => trimOws(name)) ?? [];
  if (!names.every((name) => tokenGrammar.test(name)) || new Set(names).size !== names.length) throw malformed();
  const offered: string[] = [];
  let isMarked = false;
  let token: string | undefined;
  for (const name of names) {
    const lower = name.toLowerCase();
    if (lower === mark) {
      if (name !== mark) throw malformed();
      isMarked = true;
    } else if (lower.startsWith(prefix)) {
      // Every other spelling is refused, so that a token never reaches the service or its logs.
      if (!name.startsWith(prefix) || token !== undefined) throw malformed();
      token = name.slice(prefix.length);
    } else {
      offered.push(name);
    }
  }
  if (token !== undefined && (!isMarked || token === '')) throw malformed();
  return { offered, isMarked, token };
}

type HandshakeHeader = 'sec-websocket-key' | 'sec-websocket-version' | 'sec-websocket-protocol';

/**
 * @param isProtocolDropped Whether the client named `Sec-WebSocket-Protocol` in `Connection`.
 * @throws AppError `body_not_allowed`, `invalid_request`.
 */
export function readHandshake(
  read: Readonly<Record<HandshakeHeader, string | undefined>>,
  isProtocolDropped: boolean,
  hasBody: boolean,
): Readonly<{ upgrade: Upgrade; token: string | undefined; headers: readonly string[] }> {
  const { 'sec-websocket-key': key, 'sec-websocket-version': version, 'sec-websocket-protocol': protocols } = read;
  if (hasBody) throw new AppError('body_not_allowed');
  if (key === undefined || !webSocketKey.test(key)) {
    throw new AppError('invalid_request', { detail: { reason: 'sec-websocket-key' } });
  }
  const { offered, isMarked, token } = readSubprotocols(isProtocolDropped ? undefined : protocols);
  const headers = ['sec-websocket-key', key];
  if (version !== undefined) headers.push('sec-websocket-version', version);
  if (offered.length > 0) headers.push('sec-websocket-protocol', offered.join(', '));
  return { upgrade: { protocol: 'websocket', key, version, subprotocols: offered, isMarked }, token, headers };
}

/**
 * Decides the subprotocol in the response. A browser fails the connection unless the response chooses one of the
 * offered names. The service never sees `countersign`. If the service chooses no name, the gateway chooses
 * `countersign` (RFC 6455 section 4.2.2).
 *
 * @returns Headers that replace the service's. Undefined if the service chose a name that it was not offered.
 */
export function chosenSubprotocol(
  chosen: string | string[] | undefined,
  upgrade: Upgrade | undefined,
): Readonly<{ 'sec-websocket-protocol'?: string }> | undefined {
  if (chosen === undefined) return upgrade?.isMarked ? { 'sec-websocket-protocol': mark } : {};
  return typeof chosen === 'string' && upgrade?.subprotocols.includes(chosen) ? {} : undefined;
}

const malformed = () => new AppError('invalid_request', { detail: { reason: 'sec-websocket-protocol' } });
