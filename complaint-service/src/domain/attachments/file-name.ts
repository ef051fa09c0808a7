import { create } from 'content-disposition';
import type { FileType } from './file-types.ts';

/**
 * In UTF-16 units, without the extension. In UTF-8 and with the extension, it fits into the 255 bytes that file systems
 * allow.
 */
const maxStem = 60;

// Allows letters, marks, numbers, punctuation, symbols and the plain space. Excludes controls, NUL, line breaks,
// bidirectional and other invisible formatting, private use, and lone surrogates.
const unsafe = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;
// Reserved on Windows, or special in shells and paths.
const reserved = /[<>:"/\\|?*]/g;
const deviceName = /^(con|prn|aux|nul|com\d|lpt\d)$/i;

/**
 * Returns a name that is safe to save on any system. It ends in the extension of the type, so that a text file cannot
 * be saved as a script. Directories in the client's name are dropped.
 *
 * @param given The client's file name, in any form.
 */
export function safeFileName(given: string, { extension }: FileType): string {
  const last = given.normalize('NFC').split(/[/\\]/).at(-1) ?? '';
  const plain = last.replace(unsafe, '').replace(reserved, '_');
  const stem = Array.from(plain.replace(/\.[A-Za-z0-9]{1,8}$/, ''))
    .reduce((kept, next) => (kept.length + next.length > maxStem ? kept : kept + next), '')
    .replace(/^[. ]+|[. ]+$/g, '');
  const name = stem === '' || deviceName.test(stem.split('.')[0] ?? '') ? `file${stem && `-${stem}`}` : stem;
  return `${name}.${extension}`;
}

/**
 * The Content-Disposition header, with the name in the form of RFC 8187. Only images that this service encoded itself
 * may be displayed; everything else is downloaded.
 */
export function contentDisposition(
  name: string,
  { kind }: Pick<FileType, 'kind'>,
  wanted: 'inline' | 'attachment',
): string {
  return create(name, { type: kind === 'image' ? wanted : 'attachment' });
}
