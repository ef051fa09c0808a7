const maxTermLength = 64;
/** A query of more words than this is answered as if it ended there. */
const maxQueryTerms = 10;

// Its dictionaries also find the words of scripts that are written without spaces.
const words = new Intl.Segmenter('und', { granularity: 'word' });

/**
 * The words of a text, each once, in order: compatibility forms and case folded, at most 64 characters of each.
 * Letters, marks and digits make a word; `example.com` is two.
 */
export function termsOf(text: string): string[] {
  // By way of capitals: `ß` and `SS`, and the two small sigmas, are one letter to who searches.
  const folded = text.normalize('NFKC').toUpperCase().toLowerCase().replaceAll('ς', 'σ').normalize('NFKC');
  const found = new Set<string>();
  for (const { segment, isWordLike } of words.segment(folded)) {
    if (isWordLike !== true) continue;
    for (const [term] of segment.matchAll(/[\p{L}\p{M}\p{N}]+/gu)) {
      found.add([...term].slice(0, maxTermLength).join(''));
    }
  }
  return [...found];
}

/** What a search asks for: each must begin a word of the complaint. */
export function queryTerms(query: string): string[] {
  return termsOf(query).slice(0, maxQueryTerms);
}
