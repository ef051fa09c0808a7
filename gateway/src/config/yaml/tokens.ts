import { type CST, Lexer, type Parser } from 'yaml';

/** The maximum depth of a file, and the problem of a deeper one. */
export const maxDepth = 24;
export const tooDeepMessage = `nested deeper than ${maxDepth} levels`;

const maxBlockColumns = 160;

/** Thrown at the place where a file is nested too deeply to be parsed. */
export class TooDeep extends Error {
  readonly offset: number;

  constructor(offset: number) {
    super(tooDeepMessage);
    this.offset = offset;
  }
}

/**
 * Parses a file into the tokens of the parser, with bounded depth. The composer recurses over them. Deep nesting such as `- - - -…` would
 * overflow V8's stack, which cannot be caught. Brackets are counted, and each level of a block takes at least one column.
 *
 * @throws TooDeep for a file that is nested too deeply. Blocks are bounded roughly here, and exactly when the values are read.
 */
export function* boundedTokens(text: string, parser: Parser): Generator<CST.Token> {
  const line = new RegExp(`^(?:[ \\t]|[-?:][ \\t]){${maxBlockColumns}}`, 'm').exec(text);
  if (line !== null) throw new TooDeep(line.index);
  let depth = 0;
  for (const token of tokensOf(text)) {
    depth += stepOf(token);
    if (depth > maxDepth) throw new TooDeep(token.offset);
    yield* parser.next(token.text);
  }
  yield* parser.end();
}

/** Finds the innermost bracket that is open at an offset, whether it closes later, and the last quote that opened before the offset. */
export function openAt(
  file: string,
  offset: number,
): Readonly<{ bracket: number | undefined; isClosed: boolean; quote: number | undefined }> {
  const brackets: number[] = [];
  let bracket: number | undefined;
  let quote: number | undefined;
  for (const token of tokensOf(file)) {
    const isBefore = token.offset < offset;
    if (!isBefore) {
      bracket ??= brackets.at(-1);
      if (bracket === undefined) break;
    }
    const step = stepOf(token);
    if (step === 1) brackets.push(token.offset);
    else if (step === -1) brackets.pop();
    else if (isBefore && /^["']/.test(token.text)) quote = token.offset;
    if (bracket !== undefined && !brackets.includes(bracket)) return { bracket, isClosed: true, quote };
  }
  return { bracket: bracket ?? brackets.at(-1), isClosed: false, quote };
}

type Token = Readonly<{ text: string; offset: number }>;

/** Tokens that the lexer inserts, which are not in the text: the start of a document, the end of a flow, the start of a scalar. */
const controlTokens: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f']);

/** Splits a file into its tokens, even if it is not valid YAML. */
function* tokensOf(file: string): Generator<Token> {
  let offset = 0;
  for (const text of new Lexer().lex(file)) {
    yield { text, offset };
    if (!controlTokens.has(text)) offset += text.length;
  }
}

/** How a token changes the depth of brackets and braces. */
function stepOf({ text }: Token): -1 | 0 | 1 {
  if (text === '[' || text === '{') return 1;
  return text === ']' || text === '}' ? -1 : 0;
}
