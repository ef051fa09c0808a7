/** How long an answer goes on: until somebody ends it, until all of it was sent, or no longer than anyone could look. */
export type AnswerLife = 'endless' | 'long' | 'short';

const endlessTypes = ['text/event-stream', 'application/x-ndjson', 'application/json-seq', 'multipart/x-mixed-replace'];
const shortBytes = 64 * 1024;

/**
 * @param headers The answer's, name and value in turn.
 * @returns By media type where that says so, otherwise by length; an answer without a length may be long.
 */
export function lifeOfAnswer(headers: readonly string[]): AnswerLife {
  let length = Number.POSITIVE_INFINITY;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]?.toLowerCase();
    const value = headers[at + 1] ?? '';
    if (name === 'content-length') length = Number(value);
    else if (name === 'content-type' && endlessTypes.includes(mediaType(value))) return 'endless';
  }
  return length <= shortBytes ? 'short' : 'long';
}

/** Without parameters; in any case (RFC 9110 section 8.3.1). */
function mediaType(value: string): string {
  const end = value.indexOf(';');
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase();
}
