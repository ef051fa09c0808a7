import { stepOf, tokensOf } from './yaml-brackets.ts';

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
  let depth = 0;
  for (const token of tokensOf(text)) {
    depth += stepOf(token);
    if (depth > depthLimit) return token.offset;
  }
  return undefined;
}
