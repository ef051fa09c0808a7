/**
 * Returns a text that people wrote in a form in which email programs find no link, domain or address. Removes characters
 * that control or hide text.
 */
export function defuse(text: string): string {
  return text
    .replaceAll(/\r\n?|[\u0085\u2028\u2029]/g, '\n')
    .replaceAll(/[[\p{Cc}\p{Cf}]--[\n\u200c\u200d]]/gv, '')
    .replaceAll(/[.．。｡](?=[\u200c\u200d]*\p{L})/gu, '[.]')
    .replaceAll(/(?<=\p{L}[\p{L}\p{N}+-]*):(?=\S)/gu, '[:]')
    .replaceAll(/(?<=\S)@(?=\S)/gu, '[@]')
    .replaceAll(/\\(?=\\)/g, '\\ ');
}

/** Quotes a text, so that no line of it can look like ours. */
export const quote = (text: string): string => defuse(text).replaceAll(/^/gm, '> ');

/** Returns a name on one line, without quotation marks. */
export const oneLine = (text: string): string =>
  defuse(text)
    .replaceAll(/["“”„\s]+/gu, ' ')
    .trim()
    .slice(0, 100);
