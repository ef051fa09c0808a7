import { Lexer } from 'yaml';
import { lexerMarks } from './yaml-syntax.ts';

const columnLimit = 160;

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
