import type { Document, YAMLError } from 'yaml';
import { indentationProblem } from './indentation.ts';
import type { FileProblem } from './source.ts';
import { openAt } from './tokens.ts';

/**
 * The first error of the parser. Later ones mostly follow from it, and a hundred of them would hide the one to fix.
 */
export function syntaxProblems(document: Document.Parsed, text: string): readonly FileProblem[] {
  const { explicit, version } = document.directives.yaml;
  if (explicit === true && version !== '1.2') return [{ offset: 0, message: 'only YAML 1.2 is supported' }];
  // Tags are refused when the values are read.
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

// Characters that YAML 1.2 does not allow (c-printable, section 5.1), and those that make one text look like another: zero width,
// a byte order mark after the start, a change of direction (CVE-2021-42574).
const invisible = /(?![\t\n\r]|^\ufeff)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u200b\u2060\ufeff]/u;

/** The first character that is invisible to a reviewer of the file. */
export function invisibleCharacters(text: string): readonly FileProblem[] {
  const match = invisible.exec(text);
  if (match === null) return [];
  const message = `an invisible character (${escaped(match[0])}): remove it, or write it as an escape`;
  return [{ offset: match.index, message }];
}

/** Makes text safe for a terminal: control characters and unusual spaces become escapes. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, escaped);

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Braces of variables that YAML reads as its own. */
function unquotedVariables(errors: readonly YAMLError[], text: string): readonly FileProblem[] {
  return errors
    .filter(({ pos: [at] }) => text[at] === '{' && text[at - 1] === '$')
    .map(({ pos: [at] }) => ({
      offset: at - 1,
      message: `an unquoted "\${" inside braces or brackets: write "\${NAME}" in quotes`,
    }));
}

function structureProblem(error: YAMLError, text: string): FileProblem {
  const [at] = error.pos;
  const { bracket, isClosed, quote } = openAt(text, at);
  if (error.code === 'MISSING_CHAR' && error.message.includes('quote') && quote !== undefined) {
    return notYaml(quote, `this ${text[quote]} is not closed`);
  }
  if (bracket === undefined) return indentationProblem(error, text) ?? notYaml(at, plainMessage(error, inBlock));
  // The parser notices a missing bracket at the next line, also where that line closes brackets of its own.
  const isMissing = error.code === 'BAD_INDENT' && error.message.includes('end with a');
  if (isClosed && (!isMissing || /[\]}]/.test(text.charAt(at)))) return notYaml(at, plainMessage(error, inBrackets));
  return notYaml(bracket, `this "${text[bracket]}" is not closed by a "${text[bracket] === '[' ? ']' : '}'}"`);
}

const notYaml = (offset: number, why: string): FileProblem => ({
  offset,
  message: `not YAML: ${why} (the rest is read when this is fixed)`,
});

type Messages = Partial<Record<YAMLError['code'], string>>;

/** Plain words for the messages of the parser that assume knowledge of YAML's grammar. */
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
