import { Readable } from 'node:stream';
import { newRequestId } from '@countersign/identity';
import type { GatewayConfig } from '../config/config.ts';
import { BodyMemory, HeldBody } from '../limits/body-memory.ts';
import { type Arrival, Exchange, type RawRequest } from '../pipeline/exchange.ts';
import { RequestRecord } from '../pipeline/request-record.ts';

export type Header = [name: string, value: string];

// An address for documentation (RFC 5737).
const exampleAddress = '192.0.2.1';
/** A request as a listener would deliver it, without a connection. */
export function exampleArrival(
  { method, target, headers }: Readonly<{ method: string; target: string; headers: readonly Header[] }>,
  { publicOrigins }: GatewayConfig,
): Arrival {
  const hasHost = headers.some(([name]) => name.toLowerCase() === 'host');
  const host: readonly Header[] = hasHost ? [] : [['Host', new URL(publicOrigins[0] ?? 'http://gateway').host]];
  const record = new RequestRecord(newRequestId(), method, target, 0);
  const request: RawRequest = {
    kind: isUpgrade(method, headers) ? 'upgrade' : 'http',
    method,
    rawTarget: target,
    httpVersion: '1.1',
    rawHeaders: [...host, ...headers].flat(),
    peer: { remoteAddress: exampleAddress },
    // The body is known from its headers only, so no stage waits for its bytes.
    stream: Object.assign(Readable.from([]), { complete: true }),
    interim: undefined,
  };
  const held = new HeldBody(new BodyMemory(), { bytes: 0, bytesPerAddress: 0 }, exampleAddress);
  return new Exchange(
    request,
    record,
    () => {},
    () => held,
  );
}

/** The same rule as Node's parser and the listener. */
function isUpgrade(method: string, headers: readonly Header[]): boolean {
  const joined = (name: string) =>
    headers.flatMap(([given, value]) => (given.toLowerCase() === name ? [value.toLowerCase()] : [])).join(', ');
  return (
    method === 'GET' && joined('upgrade') === 'websocket' && /(?:^|,)\s*upgrade\s*(?:,|$)/.test(joined('connection'))
  );
}
