const maxTermLength = 64;
/** Limits the rows and index entries per complaint, which can contain thousands of words. */
const maxTerms = 256;
// Fits a title and a description. Normalization can make a text 18 times as long.
const maxFoldedLength = 10_240;
/** Further words in a query are ignored. */
const maxQueryTerms = 10;

// Normalization sorts consecutive marks in quadratic time. 30 is the limit in UAX #15 section 13. The two half-width
// voiced marks are letters that normalize to marks.
const markRuns = /([\p{M}\uff9e\uff9f]{1,30})[\p{M}\uff9e\uff9f]*/gu;

// The dictionaries also find words in scripts without spaces.
const words = new Intl.Segmenter('und', { granularity: 'word' });

/**
 * Returns the first 256 different words in a text, in order. Folds compatibility forms and case, and keeps 64
 * characters of each word. Words consist of letters, marks and digits, so `example.com` is two words.
 */
export function termsOf(text: string): string[] {
  const normalized = text.replace(markRuns, '$1').normalize('NFKC').slice(0, maxFoldedLength);
  // Upper case comes first, so that `ß` matches `SS` and both small sigmas match each other.
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

/** Returns a search's terms. Each term must match the beginning of a word in the complaint. */
export function queryTerms(query: string): string[] {
  return termsOf(query).slice(0, maxQueryTerms);
}
