const cr = 13;
const lf = 10;

// The longest status line that is read, with its reason.
const maxBytes = 1024;
const http = Buffer.from('HTTP/1.');
const spaceByte = 32;
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 48 && byte <= 57;

/** The result of reading a status line. */
export type StatusLine = {
  status: number;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  minor: number;
  violation: string | undefined;
};

/**
 * Reads `HTTP/1.x NNN reason CRLF`. Bytes that cannot become one are refused at once, so that another protocol does not
 * wait for a timeout.
 *
 * @returns The position after the line; `from` if it is incomplete or invalid.
 */
export function readStatusLine(bytes: Buffer, from: number, end: number, line: StatusLine): number {
  const size = end - from;
  line.violation = undefined;
  for (let at = 0; at < http.length && at < size; at += 1) {
    if (bytes[from + at] !== http[at]) return refuse(line, from, 'no HTTP/1 status line');
  }
  if (size > 7 && bytes[from + 7] !== 48 && bytes[from + 7] !== 49) return refuse(line, from, 'an unknown version');
  if (size > 8 && bytes[from + 8] !== spaceByte) return refuse(line, from, 'an invalid status line');
  for (let at = 9; at < 12 && at < size; at += 1) {
    if (!isDigit(bytes[from + at])) return refuse(line, from, 'an invalid status');
  }
  if (size < 13) return from;
  line.minor = (bytes[from + 7] as number) - 48;
  line.status =
    (bytes[from + 9] as number) * 100 + (bytes[from + 10] as number) * 10 + (bytes[from + 11] as number) - 5328;
  if (line.status < 100) return refuse(line, from, 'an invalid status');
  return readReason(bytes, from, end, line);
}

/** The reason is optional, and so is the space before it, which some services omit. */
function readReason(bytes: Buffer, from: number, end: number, line: StatusLine): number {
  let at = from + 12;
  if (bytes[at] === spaceByte) {
    at += 1;
    while (at < end && isReason(bytes[at] as number)) at += 1;
  }
  if (at - from > maxBytes) return refuse(line, from, 'a status line that is too long');
  if (at < end && bytes[at] !== cr) return refuse(line, from, 'an invalid byte in the status line');
  if (at + 1 >= end) return from;
  if (bytes[at + 1] !== lf) return refuse(line, from, 'a CR without LF');
  return at + 2;
}

const isReason = (byte: number): boolean => (byte >= 32 && byte !== 127) || byte === 9;

function refuse(line: StatusLine, from: number, violation: string): number {
  line.violation = violation;
  return from;
}
