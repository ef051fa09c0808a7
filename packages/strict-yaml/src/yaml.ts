import { Composer, type CST, type Document, Lexer, LineCounter, Parser, YAMLParseError } from 'yaml';
import { type FileProblem, maxDepth, Source, tooDeep } from './source.ts';
import { invisibleCharacters, syntaxProblems } from './syntax.ts';
import type { Environment } from './variables.ts';

/** Enough for 10,000 routes, which the schema allows, at about 800 bytes each. */
export const maxBytes = 8 * 1024 * 1024;
export const tooLarge = `the file is larger than ${maxBytes / 1024 / 1024} MiB`;

/**
 * Reads YAML 1.2 with the core schema: no merge keys, no tags, one document, each key once. Replaces variables after
 * parsing and only in string values, so that a value cannot change the structure.
 */
export function readYaml(text: string, env: Environment): Source {
  const lines = new LineCounter();
  lines.addNewLine(0);
  const unreadable = (problems: readonly FileProblem[]) => new Source(undefined, problems, { text, env, lines });
  if (Buffer.byteLength(text) > maxBytes) return unreadable([{ offset: 0, message: tooLarge }]);
  const document = parse(text, lines);
  if (document instanceof YAMLParseError) return unreadable([{ offset: document.pos[0], message: document.message }]);
  const problems = [...invisibleCharacters(text), ...syntaxProblems(document, text)];
  if (document.errors.length > 0) return unreadable(problems);
  if (document.contents !== null) return new Source(document, problems, { text, env, lines });
  return unreadable(problems.length > 0 ? problems : [{ offset: 0, message: 'the file is empty' }]);
}

function parse(text: string, lines: LineCounter): Document.Parsed | YAMLParseError {
  // The composer's own check for duplicate keys takes quadratic time.
  const options = { version: '1.2', schema: 'core', merge: false, uniqueKeys: false, keepSourceTokens: true } as const;
  const tokens = boundedTokens(text, new Parser(lines.addNewLine));
  try {
    const [document, second] = new Composer(options).compose(tokens, true, text.length) as Iterable<Document.Parsed>;
    if (document === undefined) throw new Error('the composer made no document');
    if (second !== undefined) {
      const [start, end] = second.range;
      document.errors.push(new YAMLParseError([start, end], 'MULTIPLE_DOCS', 'a second document'));
    }
    return document;
  } catch (error) {
    if (error instanceof YAMLParseError) return error;
    throw error;
  }
}

/** The document, all lists and maps in it, and the value that is being read. */
const maxStack = maxDepth + 3;

/**
 * Returns a file's tokens. The composer recurses over them, and deep nesting such as `- - - -…` would overflow V8's
 * stack. The exact limit is checked when the values are read.
 */
function* boundedTokens(text: string, parser: Parser): Generator<CST.Token> {
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    const { stack, offset } = parser;
    if (stack.length > maxStack) throw new YAMLParseError([offset, offset], 'RESOURCE_EXHAUSTION', tooDeep);
  }
  yield* parser.end();
}
