import { isUtf8 } from 'node:buffer';

/** Maximum number of attachments for a complaint and its comments. */
export const maxAttachments = 30;

/** Maximum upload size in bytes. The route in gateway.yaml has the same limit. */
export const maxFileBytes = 15 * 1024 * 1024;

/** The time window for the limit on each user's attached bytes. */
export const attachWindowMs = 24 * 3_600_000;

/**
 * Maximum number of pixels in an image. Decoding 50 million pixels takes 150 MB, and a file of a few kB can claim more.
 */
export const maxImagePixels = 50_000_000;
/** Maximum width and height of stored images. Larger images are scaled down. */
export const maxImageSide = 4096;

export type FileType = Readonly<{
  mediaType: 'image/jpeg' | 'image/png' | 'image/webp' | 'application/pdf' | 'text/plain';
  extension: 'jpg' | 'png' | 'webp' | 'pdf' | 'txt';
  kind: 'image' | 'document';
}>;

const jpeg: FileType = { mediaType: 'image/jpeg', extension: 'jpg', kind: 'image' };
const png: FileType = { mediaType: 'image/png', extension: 'png', kind: 'image' };
const webp: FileType = { mediaType: 'image/webp', extension: 'webp', kind: 'image' };
const pdf: FileType = { mediaType: 'application/pdf', extension: 'pdf', kind: 'document' };
const text: FileType = { mediaType: 'text/plain', extension: 'txt', kind: 'document' };

/** How many leading bytes {@link typeByStart} needs. */
export const startBytes = 16;

/**
 * Detects the file type from the first bytes. Ignores the file name and the Content-Type header, because the sender
 * chooses them.
 *
 * @returns Undefined if the type is not accepted. A file that could be text is accepted until {@link isWhole} checks
 *   the rest.
 */
export function typeByStart(start: Uint8Array): FileType | undefined {
  const bytes = Buffer.from(start.buffer, start.byteOffset, Math.min(start.byteLength, startBytes));
  const begins = (prefix: string, at = 0) => bytes.subarray(at, at + prefix.length).toString('latin1') === prefix;
  if (begins('\xff\xd8\xff')) return jpeg;
  if (begins('\x89PNG\r\n\x1a\n')) return png;
  if (begins('RIFF') && begins('WEBP', 8)) return webp;
  if (begins('%PDF-')) return pdf;
  return bytes.length > 0 && !hasControl(bytes) ? text : undefined;
}

/** How many bytes can follow a PDF's end marker. More could be another file. */
const maxPdfTail = 32;

/**
 * Whether a complete document has this type. Refuses polyglots, such as a PDF followed by a ZIP archive. Images need no
 * check, because they are re-encoded.
 */
export function isWhole(type: FileType, bytes: Buffer): boolean {
  if (type === pdf) {
    const end = bytes.lastIndexOf('%%EOF');
    return end !== -1 && bytes.length - end - '%%EOF'.length <= maxPdfTail && !isZip(bytes);
  }
  return isUtf8(bytes) && !hasControl(bytes) && !isMarkup(bytes);
}

/** A ZIP archive's end record can be anywhere near the end (APPNOTE 4.3.16), so an archive can hide in a PDF. */
function isZip(bytes: Buffer): boolean {
  const endRecord = bytes.lastIndexOf('PK\x05\x06', bytes.length, 'latin1');
  return endRecord !== -1 && bytes.indexOf('PK\x01\x02', 0, 'latin1') !== -1;
}

/** HTML, SVG and XML are also text, but could run scripts where a downloaded file is opened. */
function isMarkup(bytes: Buffer): boolean {
  // A byte order mark counts as a space.
  return /^\s*<[!?/a-z]/i.test(bytes.toString('utf8', 0, 1024));
}

/** A plain loop, because a file has up to 15 million bytes, too many for a callback each. */
function hasControl(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += 1) if (isControl(bytes[at] as number)) return true;
  return false;
}

/** Control characters other than tab, line feed, form feed and carriage return. */
function isControl(byte: number): boolean {
  return byte === 0x7f || (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0c && byte !== 0x0d);
}
