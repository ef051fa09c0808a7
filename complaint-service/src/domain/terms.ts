const maxTermLength = 64;
/** Each term is a row and an index entry, and the text of a complaint has room for 10,000. */
const maxTerms = 256;
// A title and a description fit. Normalising can make a text 18 times as long.
const maxFoldedLength = 10_240;
/** A query of more words than this is answered as if it ended there. */
const maxQueryTerms = 10;

// Normalising sorts a run of marks in quadratic time. 30 is the bound of UAX #15 section 13. The two half-width voiced marks
// are letters that normalise to marks.
const markRuns = /([\p{M}\uff9e\uff9f]{1,30})[\p{M}\uff9e\uff9f]*/gu;

// Its dictionaries also find the words of scripts that are written without spaces.
const words = new Intl.Segmenter('und', { granularity: 'word' });

/**
 * The first 256 different words of a text, in order: compatibility forms and case folded, at most 64 characters of each.
 * Letters, marks and digits make a word; `example.com` is two.
 */
export function termsOf(text: string): string[] {
  const normalized = text.replace(markRuns, '$1').normalize('NFKC').slice(0, maxFoldedLength);
  // By way of capitals: `ß` and `SS`, and the two small sigmas, are one letter to who searches.
  const folded = normalized.toUpperCase().toLowerCase().replaceAll('ς', 'σ').normalize('NFKC');
  const found = new Set<string>();
  for (const { segment, isWordLike } of words.segment(folded)) {
    if (isWordLike !== true) continue;
    for (const [term] of segment.matchAll(/[\p{L}\p{M}\p{N}]+/gu)) {
      found.add([...term].slice(0, maxTermLength).join(''));
      if (found.size === maxTerms) return [...found];
    }
  }
  return [...found];
}

/** What a search asks for: each must begin a word of the complaint. */
export function queryTerms(query: string): string[] {
  return termsOf(query).slice(0, maxQueryTerms);
}
