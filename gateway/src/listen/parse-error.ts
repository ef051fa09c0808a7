import type { Code } from '../errors.ts';
import { maxTargetBytes } from '../routing/route-table.ts';

/** What Node passes to `clientError`. `rawPacket` is the packet that the parser was reading. */
export type ParseError = NodeJS.ErrnoException & Readonly<{ rawPacket?: Buffer }>;

/** The error code for a request that the parser could not read. */
export function codeForParseError({ code, rawPacket }: ParseError): Code {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return isLongTarget(rawPacket) ? 'uri_too_long' : 'headers_too_large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout';
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'payload_too_large';
    default:
      return 'invalid_request';
  }
}

/** Whether the packet begins with a request line that is longer than the longest target. */
function isLongTarget(packet: Buffer | undefined): boolean {
  if (packet === undefined || !/^[A-Z]+ /.test(packet.toString('latin1', 0, 16))) return false;
  const end = packet.indexOf('\n');
  return end === -1 || end > maxTargetBytes;
}
