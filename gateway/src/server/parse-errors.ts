import { AppError, type Code } from '../errors.ts';
import { maxTargetBytes } from '../routing/request-target.ts';
import type { LineProblem, RequestLines } from './request-lines.ts';

/** The refusal of a request whose line or head has this problem. */
export function refusalForLine(problem: LineProblem | undefined): AppError | undefined {
  if (problem === undefined) return undefined;
  const code = problem === 'long head' ? 'headers_too_large' : 'invalid_request';
  return new AppError(code, { detail: { reason: problem }, headers: { connection: 'close' } });
}

/** The error code for a request that the parser could not read. */
export function codeForParseError({ code }: NodeJS.ErrnoException, lines: RequestLines | undefined): Code {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return isLongTarget(lines?.unread()) ? 'uri_too_long' : 'headers_too_large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout';
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'payload_too_large';
    default:
      return 'invalid_request';
  }
}

/** Whether the request line is longer than the longest target. */
function isLongTarget(received: Buffer | undefined): boolean {
  if (received === undefined || !/^[A-Z]+ /.test(received.toString('latin1', 0, 16))) return false;
  const end = received.indexOf('\n');
  return end === -1 || end > maxTargetBytes;
}
