import type { CST, Parser } from 'yaml';
import { stepOf, tokensOf } from './yaml-brackets.ts';

const columnLimit = 160;

/** Thrown where a file is nested too deeply to be parsed. */
export class TooDeep extends Error {
  readonly offset: number;

  constructor(offset: number) {
    super('nested too deeply');
    this.offset = offset;
  }
}

/**
 * Parses a file into the parser's tokens. The composer of these recurses, and `- - - -…` ends its stack inside V8 where nothing can
 * catch it. So depth is bounded before: a level of a block takes a column at least, and brackets are counted.
 *
 * @throws TooDeep where it goes too deep. Blocks are bounded roughly here; the walk over the values counts exactly.
 */
export function* boundedTokens(text: string, depthLimit: number, parser: Parser): Generator<CST.Token> {
  const line = new RegExp(`^(?:[ \\t]|[-?:][ \\t]){${columnLimit}}`, 'm').exec(text);
  if (line !== null) throw new TooDeep(line.index);
  let depth = 0;
  for (const token of tokensOf(text)) {
    depth += stepOf(token);
    if (depth > depthLimit) throw new TooDeep(token.offset);
    yield* parser.next(token.text);
  }
  yield* parser.end();
}
