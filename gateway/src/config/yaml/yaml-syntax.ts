import type { Document, YAMLError } from 'yaml';
import { isClosed, lineAt, openAt } from './yaml-brackets.ts';

/** Something wrong, at an offset of the text. `other`: the offset of what it clashes with. */
export type Problem = Readonly<{ offset: number; message: string; other?: number }>;

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

/** Text for a terminal: what it might obey is written as an escape, and what looks like a space and is none. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, escaped);

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
  if (text[at] === (close === ']' ? '}' : ']')) return broken(at, `here is "${text[at]}" where "${close}" must be`);
  return isClosed(text, bracket)
    ? broken(at, wordingInBrackets(error))
    : broken(bracket, `this "${open}" is not closed by a "${close}"`);
}

const broken = (offset: number, why: string): Problem => ({
  offset,
  message: `not YAML: ${why} (what follows is read once this is mended)`,
});

/** @param line Where it was noticed. */
function wordingOf({ code, message }: YAMLError, line: string): string {
  switch (code) {
    case 'BAD_ALIAS':
      return 'a text that begins with "*" or "&" needs quotes';
    case 'BAD_SCALAR_START':
      return `${message}: put it in quotes`;
    case 'BAD_DQ_ESCAPE':
      return `${message}: write "\\\\" for a backslash, or use single quotes`;
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
      return message
        .replace('Sequence item without - indicator', 'this is indented like the items of a list, but has no "- "')
        .replace('Implicit map keys need to be followed by map values', 'a key needs ": " and a value behind it');
  }
}

function wordingInBrackets(error: YAMLError): string {
  switch (error.code) {
    case 'BLOCK_IN_FLOW':
    case 'MISSING_CHAR':
    case 'MULTILINE_IMPLICIT_KEY':
    case 'UNEXPECTED_TOKEN':
      return error.message.startsWith('Unexpected ,')
        ? 'a comma with nothing before it'
        : 'in brackets and braces a comma stands between items, there is no "- ", and a text with quotes or ": " in it needs quotes around it';
    default:
      return wordingOf(error, '');
  }
}
