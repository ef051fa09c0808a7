import { create } from 'content-disposition';
import type { FileType } from './file-types.ts';

/**
 * In UTF-16 units, without the extension. With UTF-8 and the extension it fits into the 255 bytes of a file system.
 */
const maxStem = 60;

// Letters, marks, numbers, punctuation, symbols and the plain space. Not: controls, NUL, line breaks, bidirectional
// and other invisible formatting, private use, lone surrogates.
const unsafe = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;
// Reserved on Windows, or by shells and paths.
const reserved = /[<>:"/\\|?*]/g;
const deviceName = /^(con|prn|aux|nul|com\d|lpt\d)$/i;

/**
 * Returns a name that is safe to save on any system, and that ends in the extension of the type, so that no name can
 * make a text a script. The client's directories are dropped.
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
 * may be shown in place: everything else is saved.
 */
export function contentDisposition(
  name: string,
  { kind }: Pick<FileType, 'kind'>,
  wanted: 'inline' | 'attachment',
): string {
  return create(name, { type: kind === 'image' ? wanted : 'attachment' });
}
