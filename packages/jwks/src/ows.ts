/**
 * Removes optional whitespace (OWS) around a piece of an HTTP field: spaces and tabs, nothing else (RFC 9110 section
 * 5.6.3). `String.trim` also removes U+00A0, which is one byte on the wire: two readers would see different names, and a
 * cookie `\xa0__Host-rt`, which any site may set, would become `__Host-rt`.
 *
 * @param start Where the piece starts in `text`, and `end` where it ends. Default: all of it.
 */
export function trimOws(text: string, start = 0, end = text.length): string {
  let from = start;
  let to = end;
  while (from < to && isOws(text.charCodeAt(from))) from += 1;
  while (to > from && isOws(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

const isOws = (char: number): boolean => char === 0x20 || char === 0x09;
