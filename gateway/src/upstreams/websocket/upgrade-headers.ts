import type { IncomingHttpHeaders } from 'node:http';
import type { Header } from '../../exchange.ts';

/** The signed headers as node's client takes them, with what makes an upgrade of the request. */
export function upgradeHeaders(headers: readonly Header[], host: string): IncomingHttpHeaders {
  const written: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of headers) {
    const before = written[name];
    written[name] = before === undefined ? value : [before, value].flat();
  }
  // Dropped as hop-by-hop on the way in; on the way out this hop is ours.
  return { ...written, host, connection: 'Upgrade', upgrade: 'websocket' };
}

/** @param flat Names and values in turn; what is repeated becomes a list. */
export function headerObject(flat: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < flat.length; at += 2) {
    const name = (flat[at] ?? '').toLowerCase();
    const value = flat[at + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
