import { AppError } from '../errors.ts';

/** What a client offers in `Sec-WebSocket-Protocol`, and what of it is for the gateway. */
export type Subprotocols = Readonly<{
  /** For the service, in the client's order. */
  offered: readonly string[];
  /** `countersign` was offered, so it can be answered where the service chooses none. */
  isMarked: boolean;
  /** Of `bearer.TOKEN`. */
  token: string | undefined;
}>;

/** What a WebSocket handshake asks for. */
export type Upgrade = Readonly<{
  protocol: 'websocket';
  key: string;
  version: string | undefined;
  /** What the service may choose from. */
  subprotocols: readonly string[];
  /** Where it chooses none, `countersign` is answered. */
  isMarked: boolean;
}>;

/** Browsers can set no header on a WebSocket but this one, so the token comes here: `countersign, bearer.TOKEN`. */
const mark = 'countersign';
const prefix = 'bearer.';
const tokenGrammar = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * The token needs `countersign` beside it: a browser gives up unless one of its protocols is chosen, and the one with the
 * token in it must never come back.
 *
 * @param values Every `Sec-WebSocket-Protocol` value, in the order received.
 * @throws AppError `invalid_request` for what is no list of distinct names, and for a token that is empty, doubled or alone.
 * @see RFC 6455 section 4.1, items 10 and 12; Fetch and WebSockets Standards on an unanswered protocol
 */
export function readSubprotocols(values: readonly string[]): Subprotocols {
  const names = values.flatMap((value) => value.split(',').map((name) => name.replace(/^[ \t]+|[ \t]+$/g, '')));
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
      // Another spelling is for nobody, least of all for the service's log.
      if (!name.startsWith(prefix) || token !== undefined) throw malformed();
      token = name.slice(prefix.length);
    } else {
      offered.push(name);
    }
  }
  if (token !== undefined && (!isMarked || token === '')) throw malformed();
  return { offered, isMarked, token };
}

/**
 * A browser fails a connection whose answer chooses none of what it offered, or something else. The gateway's own mark was not offered
 * to the service, so where that chose nothing the gateway chooses it (RFC 6455 section 4.2.2).
 *
 * @returns What to write over the service's answer; undefined where the service chose what it was not offered.
 */
export function chosenSubprotocol(
  chosen: string | string[] | undefined,
  upgrade: Upgrade | undefined,
): Readonly<{ 'sec-websocket-protocol'?: string }> | undefined {
  if (chosen === undefined) return upgrade?.isMarked ? { 'sec-websocket-protocol': mark } : {};
  return typeof chosen === 'string' && upgrade?.subprotocols.includes(chosen) ? {} : undefined;
}

const malformed = () => new AppError('invalid_request', { detail: { reason: 'sec-websocket-protocol' } });
