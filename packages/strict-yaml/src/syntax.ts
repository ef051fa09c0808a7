import { type CST, type Document, visit, type YAMLError } from 'yaml';
import { indentationProblem } from './indentation.ts';
import type { FileProblem } from './source.ts';

/** Returns the parser's first error. Later errors mostly follow from it. */
export function syntaxProblems(document: Document.Parsed, text: string): readonly FileProblem[] {
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
export function invisibleCharacters(text: string): readonly FileProblem[] {
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
