import { type Document, Lexer, type YAMLError } from 'yaml';

/** Something wrong, at an offset of the text. */
export type Problem = Readonly<{ offset: number; message: string }>;

/**
 * What the parser dislikes, in words that say what to do. Only the first is told: it makes everything after it look wrong, and a list of a
 * hundred hides the one that is to be mended.
 */
export function syntaxProblems(document: Document.Parsed, text: string): readonly Problem[] {
  const { explicit, version } = document.directives.yaml;
  if (explicit === true && version !== '1.2') return [{ offset: 0, message: 'only YAML 1.2 is read here' }];
  // Tags are refused by the walk, known or not.
  const warnings = document.warnings.filter((warning) => warning.code !== 'TAG_RESOLVE_FAILED');
  const errors = [...document.errors, ...warnings].toSorted((a, b) => a.pos[0] - b.pos[0]);
  const [first] = errors;
  if (first === undefined) return [];
  if (first.code === 'MULTIPLE_DOCS') {
    return [{ offset: first.pos[0], message: 'a second document begins here: one file, one configuration' }];
  }
  const unquoted = unquotedVariables(errors, text);
  return unquoted.length > 0 ? unquoted : [structureProblem(first, text)];
}

// What YAML lets no file hold as it is (c-printable, section 5.1), and what makes text look like another: no width, a byte order mark
// that is not at the front, another direction (CVE-2021-42574).
const unseen = /(?![\t\n\r]|^\ufeff)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u200b\u2060\ufeff]/u;

/** The first character that nobody who reviews the file would see. */
export function unseenProblems(text: string): readonly Problem[] {
  const match = unseen.exec(text);
  if (match === null) return [];
  const message = `a character that cannot be seen (${escaped(match[0])}): take it out, or write it as an escape`;
  return [{ offset: match.index, message }];
}

/** Text for a terminal: what it might obey is written as an escape. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Braces that were never meant as YAML's. */
function unquotedVariables(errors: readonly YAMLError[], text: string): readonly Problem[] {
  return errors
    .filter(({ pos: [at] }) => text[at] === '{' && text[at - 1] === '$')
    .map(({ pos: [at] }) => ({
      offset: at - 1,
      message: `an unquoted "\${" inside braces or brackets: write "\${NAME}" in quotes`,
    }));
}

function structureProblem(error: YAMLError, text: string): Problem {
  const [at] = error.pos;
  const { bracket, quote } = openAt(text, at);
  if (error.code === 'MISSING_CHAR' && error.message.includes('quote') && quote !== undefined) {
    return broken(quote, `the text that begins with this ${text[quote]} has no end`);
  }
  if (bracket === undefined) return broken(at, wordingOf(error, lineAt(text, at)));
  const [open, close] = text[bracket] === '[' ? ['[', ']'] : ['{', '}'];
  const isCrossed = text[at] === (close === ']' ? '}' : ']');
  return isCrossed
    ? broken(at, `here is "${text[at]}" where "${close}" must be`)
    : broken(bracket, `this "${open}" is not closed by a "${close}"`);
}

const broken = (offset: number, why: string): Problem => ({
  offset,
  message: `not YAML: ${why} (what follows is read once this is mended)`,
});

/** The innermost bracket that is open at a place, and the last quote that opened before it. */
function openAt(text: string, place: number): { bracket: number | undefined; quote: number | undefined } {
  const brackets: number[] = [];
  let quote: number | undefined;
  let offset = 0;
  for (const token of new Lexer().lex(text)) {
    if (offset >= place) break;
    if (token === '[' || token === '{') brackets.push(offset);
    else if (token === ']' || token === '}') brackets.pop();
    else if (token.startsWith('"') || token.startsWith("'")) quote = offset;
    if (!lexerMarks.has(token)) offset += token.length;
  }
  return { bracket: brackets.at(-1), quote };
}

/** What the lexer adds to the text: a document, the end of flow, a scalar, a byte order mark. */
export const lexerMarks: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);

/** @param line Where it was noticed. */
function wordingOf({ code, message }: YAMLError, line: string): string {
  switch (code) {
    case 'MULTILINE_IMPLICIT_KEY':
      return /:(?:\s|$)/.test(line) ? message : 'a key and its value need ": " between them, a colon and a space';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a second ": " in one value, or the next line is indented deeper than it should be: quote the one, mend the other';
    case 'BAD_INDENT':
      return `${message}: what belongs together begins in one column`;
    case 'UNEXPECTED_TOKEN':
      return message.replace(
        /^Unexpected [a-z-]+ token in YAML stream: (.*)$/s,
        '$1 is one too many, or in the wrong place',
      );
    default:
      return message.replace(
        'Sequence item without - indicator',
        'this is indented like the items of a list, but has no "- "',
      );
  }
}

function lineAt(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const end = text.indexOf('\n', offset);
  return text.slice(start, end === -1 ? undefined : end);
}
