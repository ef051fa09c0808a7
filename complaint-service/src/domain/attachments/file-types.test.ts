import { describe, expect, test } from '@jest/globals';
import { isWhole, typeByStart } from './file-types.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const pdf = '%PDF-1.7\n1 0 obj\nendobj\ntrailer\n%%EOF\n';
const zip = 'PK\x03\x04…PK\x01\x02…PK\x05\x06\0\0';

test.each<[string, string, string | undefined]>([
  ['a JPEG', '\xff\xd8\xff\xe0', 'image/jpeg'],
  ['a PNG', '\x89PNG\r\n\x1a\n\0\0', 'image/png'],
  ['a WebP', 'RIFF\x10\0\0\0WEBPVP8 ', 'image/webp'],
  ['a sound file', 'RIFF\x10\0\0\0WAVEfmt ', undefined],
  ['a PDF', pdf, 'application/pdf'],
  ['a PDF after other bytes', `GIF89a${pdf}`, 'text/plain'],
  ['plain text', 'The lamp is broken.', 'text/plain'],
  ['a ZIP archive', zip, undefined],
  ['a GIF', 'GIF89a\x01\0\x01\0', undefined],
  ['a HEIC photo', '\0\0\0\x18ftypheic', undefined],
  ['a program', '\x7fELF\x02\x01', undefined],
  ['an empty file', '', undefined],
])('detects %s by its first bytes', (_what, start, expected) => {
  expect(typeByStart(bytes(start))?.mediaType).toBe(expected);
});

describe('checks a document to its last byte:', () => {
  const ofType = (text: string | Buffer) => {
    const content = Buffer.from(text as string);
    const type = typeByStart(content);
    return type !== undefined && isWhole(type, content);
  };
  test.each<[string, string | Buffer, boolean]>([
    ['a PDF', pdf, true],
    ['a truncated PDF', pdf.slice(0, 20), false],
    ['a PDF followed by a ZIP archive', bytes(pdf + zip), false],
    ['a PDF that contains a ZIP archive', bytes(`%PDF-1.7\n${zip}\n%%EOF`), false],
    ['a PDF followed by HTML', `${pdf}<html><script>alert(1)</script></html>`, false],
    ['text', 'Zeile 1\r\n\tZeile 2: ü€\n', true],
    ['text in Latin-1', bytes('Stra\xdfe'), false],
    ['text with a NUL', 'This is text so far.\0', false],
    ['text with terminal escapes', 'This is text so far.\x1b[2J', false],
    ['HTML', '<!doctype html><script>alert(1)</script>', false],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', false],
    ['XML after a byte order mark and spaces', '\ufeff \n<?xml version="1.0"?><svg/>', false],
    ['text that contains a < b', 'a < b', true],
  ])('%s', (_what, content, expected) => {
    expect(ofType(content)).toBe(expected);
  });
});
