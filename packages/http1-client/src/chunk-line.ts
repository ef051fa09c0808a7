import { invalidResponse } from './exchange-error.ts';
import { tokenCharacters } from './token.ts';

const cr = 13;
const lf = 10;
const semicolon = 59;

/** Maximum length of a line with a chunk's size. Extensions are ignored, and no service needs long ones. */
const maxBytes = 512;
// 13 hex digits are at most 2^52 - 1, so a size is always a safe integer.
const maxDigits = 13;

/** Names and values without blanks around them, as llhttp takes them (RFC 9112 section 7.1.1). */
const isExtension = new RegExp(`^(?:;[${tokenCharacters}]+(?:=(?:[${tokenCharacters}]+|"[\\t !#-[\\]-~]*"))?)+$`);

/** The line before a chunk. */
export type ChunkLine = { size: number };

/**
 * Reads the line before a chunk.
 *
 * @returns The position after the line; `from` if it is incomplete.
 * @throws ExchangeError
 */
export function readChunkLine(bytes: Buffer, from: number, end: number, line: ChunkLine): number {
  let at = from;
  let size = 0;
  for (; at < end; at += 1) {
    const digit = hexDigit(bytes[at] as number);
    if (digit === -1) break;
    size = size * 16 + digit;
  }
  if (at - from > maxDigits) throw invalidResponse('a chunk size that is too long');
  if (at === end) return from;
  if (at === from) throw invalidResponse('an invalid chunk size');
  line.size = size;
  if (bytes[at] === semicolon) {
    const lineEnd = bytes.indexOf(cr, at);
    const isOpen = lineEnd === -1 || lineEnd >= end;
    if ((isOpen ? end : lineEnd) - from > maxBytes) throw invalidResponse('a chunk extension that is too long');
    if (isOpen) return from;
    if (!isExtension.test(bytes.toString('latin1', at, lineEnd))) throw invalidResponse('an invalid chunk extension');
    at = lineEnd;
  }
  if (bytes[at] !== cr) throw invalidResponse('an invalid chunk size');
  if (at + 1 >= end) return from;
  if (bytes[at + 1] !== lf) throw invalidResponse('a CR without LF');
  return at + 2;
}

/**
 * Reads the CRLF that ends a chunk.
 *
 * @returns The position after it; `from` if it is incomplete.
 * @throws ExchangeError
 */
export function readChunkEnd(bytes: Buffer, from: number, end: number): number {
  const isValid = bytes[from] === cr && (from + 1 === end || bytes[from + 1] === lf);
  if (!isValid) throw invalidResponse('a chunk without CRLF at its end');
  return from + 1 === end ? from : from + 2;
}

/** @returns -1 if the byte is not a hexadecimal digit. */
function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
