export type Rule = 'long line' | 'long cell' | 'riddle' | 'private member';
export type Finding = Readonly<{ line: number; rule: Rule; text: string }>;

const maxColumns = 120;
const maxCellWords = 25;

/** Sentence subjects that do not name a person or thing, except the Unix account `user nobody`. */
const riddle =
  /\b(?:who(?:ever| (?:comes|asks|wants|has|is|goes|knows|brings))|(?<!`user )(?:no|some|any)body|what is[ ]no)\b/i;

/** A member that its library does not document: a leading underscore, or a symbol of a foreign object. */
const privateMember =
  /\.(?:_[a-zA-Z]\w*|symbols\.\w+)\b|\[(?:\w+\.)?k[A-Z]\w*\]|\['_\w+'\]|, '_\w+'\)|getOwnPropertySymbols|'internalMessage'/;
const isTest = /\.test\.ts$|(?:^|\/)test\/|^infra\/(?:bench|ci|e2e)\//;

/**
 * Returns the style problems of one file. TypeScript is checked for unclear sentence subjects, and outside tests for
 * private members of Node and of libraries, which can change at a minor release. Markdown is also checked for lines
 * over 120 columns, outside tables, code and lines with a URL, and for table cells over 25 words.
 */
export function findings(file: string, text: string): Finding[] {
  const found: Finding[] = [];
  let isCode = false;
  text.split('\n').forEach((content, index) => {
    const add = (rule: Rule, shown: string) => found.push({ line: index + 1, rule, text: shown.trim().slice(0, 100) });
    if (riddle.test(content)) add('riddle', content);
    if (file.endsWith('.ts') && !isTest.test(file) && privateMember.test(content)) add('private member', content);
    if (!file.endsWith('.md')) return;
    if (content.startsWith('```')) isCode = !isCode;
    if (isCode || content.startsWith('    ')) return;
    if (content.startsWith('|')) {
      for (const cell of content.split(/(?<!\\)\|/))
        if (cell.trim().split(/\s+/).length > maxCellWords) add('long cell', cell);
    } else if (content.length > maxColumns && !/https?:/.test(content)) add('long line', content);
  });
  return found;
}
