import { invalidResponse } from './exchange-error.ts';
import { tokenCharacters } from './token.ts';

/** Maximum length of a line with a chunk's size. Extensions are ignored, and no service needs long ones. */
export const maxChunkLineBytes = 512;

// 13 hex digits are at most 2^52 - 1, so a size is always a safe integer.
const size = '[0-9A-Fa-f]{1,13}';
// Names and values without blanks around them, as llhttp takes them (RFC 9112 section 7.1.1).
const extension = `;[${tokenCharacters}]+(?:=(?:[${tokenCharacters}]+|"[\\t !#-[\\]-~]*"))?`;
const wholeLine = new RegExp(`^${size}(?:${extension})*\r\n`);
const startOfLine = new RegExp(`^(?:${size}(?:;[^\r]*)?)?\r?$`);

/**
 * Reads the line before a chunk.
 *
 * @param text Latin-1, up to the end of the line, or all that has arrived of it.
 * @returns The size of the chunk; undefined if the line is incomplete.
 * @throws ExchangeError
 */
export function readChunkLine(text: string): number | undefined {
  if (text.length > maxChunkLineBytes + 2) throw invalidResponse('a chunk extension that is too long');
  if (wholeLine.test(text)) return Number.parseInt(text, 16);
  if (/^[0-9A-Fa-f]{14}/.test(text)) throw invalidResponse('a chunk size that is too long');
  if (/^[0-9A-Fa-f]+(?:;[^\r\n]*)?\r[^\n]/.test(text)) throw invalidResponse('a CR without LF');
  if (startOfLine.test(text)) return undefined;
  throw invalidResponse(/^[0-9A-Fa-f]+;/.test(text) ? 'an invalid chunk extension' : 'an invalid chunk size');
}
