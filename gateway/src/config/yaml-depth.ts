import { Lexer } from 'yaml';

const columnLimit = 160;

// What the lexer adds to the text: a document, the end of flow, a scalar, a byte order mark.
const lexerMarks = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);

/**
 * The parser recurses, and `- - - -…` ends its stack inside V8 where nothing can catch it. So depth is bounded before:
 * a level of a block takes a column at least, and brackets are counted.
 *
 * @returns The offset where it goes too deep. Blocks are bounded roughly here; the walk over the values counts exactly.
 */
export function findTooDeep(text: string, depthLimit: number): number | undefined {
  const line = new RegExp(`^(?:[ \\t]|[-?:][ \\t]){${columnLimit}}`, 'm').exec(text);
  if (line !== null) return line.index;
  let offset = 0;
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    if (depth > depthLimit) return offset;
    if (!lexerMarks.has(token)) offset += token.length;
  }
  return undefined;
}
