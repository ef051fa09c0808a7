import { create } from 'content-disposition';
import type { FileType } from './file-types.ts';

/** Maximum length in UTF-16 units, without the extension. File systems allow 255 bytes of UTF-8 with the extension. */
const maxStem = 60;

// Allows letters, marks, numbers, punctuation, symbols and the plain space. Excludes controls, NUL, line breaks,
// bidirectional and other invisible formatting, private use, and lone surrogates.
const unsafe = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;
// Reserved on Windows, or special in shells and paths.
const reserved = /[<>:"/\\|?*]/g;
const deviceName = /^(con|prn|aux|nul|com\d|lpt\d)$/i;

/**
 * Returns a file name that is safe to save on any system. Its extension matches the type, so that a text file cannot be
 * saved as a script. Directories are dropped.
 *
 * @param given The file name that the request sent.
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
 * Returns the Content-Disposition header, with the file name as in RFC 8187. Only images that this service encoded
 * itself can be displayed. All other files are downloaded.
 */
export function contentDisposition(
  name: string,
  mediaType: FileType['mediaType'],
  wanted: 'inline' | 'attachment',
): string {
  return create(name, { type: mediaType.startsWith('image/') ? wanted : 'attachment' });
}
