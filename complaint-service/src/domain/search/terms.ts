const maxTermLength = 64;
/** Each term costs a row and an index entry, and a complaint can contain thousands of words. */
const maxTerms = 256;
// Enough for a title and a description. Normalization can make a text 18 times as long.
const maxFoldedLength = 10_240;
/** Words of a query beyond this number are ignored. */
const maxQueryTerms = 10;

// Normalization sorts a run of marks in quadratic time. 30 is the limit of UAX #15 section 13. The two half-width
// voiced marks are letters that normalize to marks.
const markRuns = /([\p{M}\uff9e\uff9f]{1,30})[\p{M}\uff9e\uff9f]*/gu;

// Its dictionaries also find words in scripts without spaces.
const words = new Intl.Segmenter('und', { granularity: 'word' });

/**
 * Returns the first 256 different words of a text, in order. Folds compatibility forms and case; keeps 64 characters of
 * each. A word consists of letters, marks and digits; `example.com` is two words.
 */
export function termsOf(text: string): string[] {
  const normalized = text.replace(markRuns, '$1').normalize('NFKC').slice(0, maxFoldedLength);
  // Convert to upper case first, so that `ß` matches `SS` and both small sigmas match each other.
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

/** Returns the terms of a search. Each must match the beginning of a word in the complaint. */
export function queryTerms(query: string): string[] {
  return termsOf(query).slice(0, maxQueryTerms);
}
