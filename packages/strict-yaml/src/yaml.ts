import {
  Composer,
  type CST,
  type Document,
  Lexer,
  LineCounter,
  Parser,
  visit,
  type YAMLError,
  YAMLParseError,
} from 'yaml';
import { type Environment, type FileProblem, maxDepth, Source, tooDeep } from './source.ts';

/** Enough for 10,000 routes, which the schema allows, at about 800 bytes each. */
export const maxBytes = 8 * 1024 * 1024;
export const tooLarge = `the file is larger than ${maxBytes / 1024 / 1024} MiB`;

/**
 * Reads YAML 1.2 with the core schema: no merge keys, no tags, one document, each key once. Replaces variables after
 * parsing and only in string values, so that a value cannot change the structure.
 */
export const readYaml = (text: string, env: Environment): Source => parseYaml(text)(env);

/** Like {@link readYaml}, for several environments: parsing takes most of the time. */
export function parseYaml(text: string): (env: Environment) => Source {
  const lines = new LineCounter();
  lines.addNewLine(0);
  const sourceOf = (document: Document.Parsed | undefined, problems: readonly FileProblem[]) => (env: Environment) =>
    new Source(document, problems, { text, env, lines });
  const unreadable = (problems: readonly FileProblem[]) => sourceOf(undefined, problems);
  if (Buffer.byteLength(text) > maxBytes) return unreadable([{ offset: 0, message: tooLarge }]);
  const document = parse(text, lines);
  if (document instanceof YAMLParseError) return unreadable([{ offset: document.pos[0], message: document.message }]);
  const problems = [...invisibleCharacters(text), ...syntaxProblems(document, text)];
  if (document.errors.length > 0) return unreadable(problems);
  if (document.contents !== null) return sourceOf(document, problems);
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

/** Returns the parser's first error. Later errors mostly follow from it. */
function syntaxProblems(document: Document.Parsed, text: string): readonly FileProblem[] {
  const { explicit, version } = document.directives.yaml;
  if (explicit === true && version !== '1.2') return [{ offset: 0, message: 'only YAML 1.2 is supported' }];
  // Tags are refused later, when the values are read.
  const warnings = document.warnings.filter((warning) => warning.code !== 'TAG_RESOLVE_FAILED');
  const errors = [...document.errors, ...warnings].toSorted((a, b) => a.pos[0] - b.pos[0]);
  const [first] = errors;
  if (first === undefined) return [];
  if (first.code === 'MULTIPLE_DOCS') {
    return [{ offset: first.pos[0], message: 'a second document begins here, but a file has only one configuration' }];
  }
  const unquoted = unquotedVariables(errors, text);
  return unquoted.length > 0 ? unquoted : [structureProblem(first, document, text)];
}

// Characters that YAML 1.2 does not allow (c-printable, section 5.1), and those that disguise text: zero width, a byte
// order mark after the start, a change of direction (CVE-2021-42574).
const invisible = /(?![\t\n\r]|^\ufeff)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u200b\u2060\ufeff]/u;

/** Returns the first character that a reviewer of the file would not see. */
function invisibleCharacters(text: string): readonly FileProblem[] {
  const match = invisible.exec(text);
  if (match === null) return [];
  const message = `an invisible character (${escaped(match[0])}): remove it, or write it as an escape`;
  return [{ offset: match.index, message }];
}

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Variable braces that YAML would parse as a map. */
function unquotedVariables(errors: readonly YAMLError[], text: string): readonly FileProblem[] {
  return errors
    .filter(({ pos: [at] }) => text[at] === '{' && text[at - 1] === '$')
    .map(({ pos: [at] }) => ({
      offset: at - 1,
      message: `an unquoted "\${" inside braces or brackets: write "\${NAME}" in quotes`,
    }));
}

function structureProblem(error: YAMLError, document: Document.Parsed, text: string): FileProblem {
  const { pos, code, message } = error;
  const { flow, quote } = openAt(document, pos[0]);
  if (code === 'MISSING_CHAR' && message.includes('quote') && quote !== undefined) {
    return notYaml(quote, `this ${text[quote]} is not closed`);
  }
  if (flow === undefined) return indentationProblem(error, text) ?? notYaml(pos[0], plainMessage(error, inBlock));
  if (isClosed(flow)) return notYaml(pos[0], plainMessage(error, inBrackets));
  const { source } = flow.start;
  return notYaml(flow.offset, `this "${source}" is not closed by a "${source === '[' ? ']' : '}'}"`);
}

/** Returns the innermost bracket or brace that is open at an offset, and the last quote that opens before it. */
function openAt(document: Document.Parsed, offset: number) {
  let flow: CST.FlowCollection | undefined;
  let quote: number | undefined;
  visit(document, {
    Value: (_key, { srcToken: token }) => {
      if (token === undefined || token.offset >= offset) return;
      if (token.type === 'single-quoted-scalar' || token.type === 'double-quoted-scalar') quote = token.offset;
      if (token.type !== 'flow-collection') return;
      const [end] = token.end;
      if (end === undefined || end.offset >= offset) flow = token;
    },
  });
  return { flow, quote };
}

/**
 * Whether it ends with a bracket or brace. Otherwise the parser has ended it at the next line or the end of the file.
 */
const isClosed = ({ end: [end] }: CST.FlowCollection): boolean => end?.source === ']' || end?.source === '}';

const notYaml = (offset: number, why: string): FileProblem => ({
  offset,
  message: `not YAML: ${why} (the rest is read when this is fixed)`,
});

type Messages = Partial<Record<YAMLError['code'], string>>;

/** Replaces parser messages that assume knowledge of YAML's grammar. */
const inBlock: Messages = {
  BAD_ALIAS: 'a text that begins with "*" or "&" needs quotes',
  MULTILINE_IMPLICIT_KEY: 'a key needs ": " before its value, a colon and a space, on the same line',
  BLOCK_AS_IMPLICIT_KEY: 'a value with ": " in it needs quotes, or the next line is indented too far',
};

const separators = 'inside brackets and braces, commas separate the items, without "- "';
const inBrackets: Messages = {
  ...inBlock,
  BLOCK_IN_FLOW: separators,
  MULTILINE_IMPLICIT_KEY: separators,
};

function plainMessage({ code, message }: YAMLError, messages: Messages): string {
  return messages[code] ?? message.replace(/^Unexpected [a-z-]+ token in YAML stream: /, 'Unexpected ');
}

/** A key or list dash in an earlier line. `column` counts from 0. */
type Opened = Readonly<{ column: number; line: number; key: string | undefined }>;

/** Matches indentation, dashes, and a key that cannot be a secret value. */
const lineStart = /^(?<indent> *)(?<dashes>(?:- +|-$)*)(?:(?<key>["']?[\w.$/-]+["']?)\s*:(?=\s|$))?/;

/**
 * Explains a parser error that wrong indentation causes, at the line that begins in the wrong column. The parser itself
 * names the end of the previous line, or column 1.
 *
 * @returns Undefined if the indentation is not the cause.
 */
function indentationProblem({ code, message, pos: [at] }: YAMLError, text: string): FileProblem | undefined {
  const lines = text.split('\n');
  const line = text.slice(0, at).split('\n').length - 1;
  const column = at - text.lastIndexOf('\n', at - 1) - 1;
  const [before = '', after = ''] = [lines[line]?.slice(0, column), lines[line]?.slice(column)];
  const isUnclear = code === 'BAD_INDENT' || code === 'BLOCK_AS_IMPLICIT_KEY';
  if (before.trim() === '' && (isUnclear || code === 'MISSING_CHAR' || message.includes('at node end'))) {
    return problemOfLine(lines, firstFrom(lines, line));
  }
  // This line's value is not a map, so the map is on the next line.
  if (code !== 'BLOCK_AS_IMPLICIT_KEY' || /:(?:\s|$)/.test(after)) return undefined;
  return problemOfLine(lines, firstFrom(lines, line + 1));
}

const firstFrom = (lines: readonly string[], from: number): number =>
  lines.findIndex((line, index) => index >= from && !isEmpty(line));

function problemOfLine(lines: readonly string[], line: number): FileProblem | undefined {
  const [own] = openedBy(lines[line] ?? '', line);
  if (own === undefined) return undefined;
  const isItem = own.key === undefined;
  const [like] = openAbove(lines, line)
    .filter(({ key, column }) => (key === undefined) === isItem && column !== own.column)
    .sort((a, b) => Math.abs(a.column - own.column) - Math.abs(b.column - own.column) || b.column - a.column);
  if (like === undefined) return undefined;
  const [here, there, rule] = isItem
    ? ['this "-"', 'the one', 'the items of a list']
    : [`"${own.key}"`, `"${like.key}"`, 'the keys of a map'];
  return {
    offset: lines.slice(0, line).join('\n').length + (line === 0 ? 0 : 1) + own.column,
    message: `not YAML: ${here} begins in column ${own.column + 1}, but ${there} in line ${like.line + 1} in column ${like.column + 1}: ${rule} begin in the same column (the rest is read when this is fixed)`,
  };
}

function openAbove(lines: readonly string[], line: number): readonly Opened[] {
  const open: Opened[] = [];
  for (let above = line - 1, limit = Number.POSITIVE_INFINITY; above >= 0 && limit > 0; above -= 1) {
    for (const one of openedBy(lines[above] ?? '', above).toReversed()) {
      if (one.column >= limit) continue;
      open.push(one);
      limit = one.column;
    }
  }
  return open;
}

function openedBy(text: string, line: number): readonly Opened[] {
  if (isEmpty(text)) return [];
  const { indent = '', dashes = '', key } = lineStart.exec(text.trimEnd())?.groups ?? {};
  const items = [...dashes.matchAll(/-/g)].map(({ index }) => ({
    column: indent.length + index,
    line,
    key: undefined,
  }));
  return key === undefined ? items : [...items, { column: indent.length + dashes.length, line, key }];
}

const isEmpty = (line: string): boolean => /^\s*(?:#|$)/.test(line);
