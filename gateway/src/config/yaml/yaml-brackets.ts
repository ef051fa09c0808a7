import { Lexer } from 'yaml';

/** What the lexer adds to the text: a document, the end of flow, a scalar, a byte order mark. */
const marks: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);

export type Token = Readonly<{ text: string; offset: number }>;

/** A file in its smallest pieces, whether it is YAML or not. */
export function* tokensOf(file: string): Generator<Token> {
  let offset = 0;
  for (const text of new Lexer().lex(file)) {
    yield { text, offset };
    if (!marks.has(text)) offset += text.length;
  }
}

/** What a token adds to the depth of brackets and braces. */
export function stepOf({ text }: Token): -1 | 0 | 1 {
  if (text === '[' || text === '{') return 1;
  return text === ']' || text === '}' ? -1 : 0;
}

/** The innermost bracket that is open at a place, and the last quote that opened before it. */
export function openAt(file: string, place: number): { bracket: number | undefined; quote: number | undefined } {
  const brackets: number[] = [];
  let quote: number | undefined;
  for (const token of tokensOf(file)) {
    if (token.offset >= place) break;
    const step = stepOf(token);
    if (step === 1) brackets.push(token.offset);
    else if (step === -1) brackets.pop();
    else if (/^["']/.test(token.text)) quote = token.offset;
  }
  return { bracket: brackets.at(-1), quote };
}

/** Whether a bracket has its other half, with nothing between the two that belongs to the lines around them. */
export function isClosed(file: string, bracket: number): boolean {
  let depth = 0;
  for (const token of tokensOf(file)) {
    if (token.offset < bracket) continue;
    depth += stepOf(token);
    if (depth === 0) return !hasLineOutside(file, bracket, token.offset);
  }
  return false;
}

/** Whether a line begins between two places that is indented no deeper than that of the first. */
function hasLineOutside(file: string, from: number, to: number): boolean {
  const own = lineAt(file, from).search(/[^ -]/);
  const [, ...lines] = file.slice(from, to).split('\n');
  return lines.some((line) => /\S/.test(line) && line.search(/\S/) <= own);
}

export function lineAt(file: string, offset: number): string {
  const start = file.lastIndexOf('\n', offset - 1) + 1;
  const end = file.indexOf('\n', offset);
  return file.slice(start, end === -1 ? undefined : end);
}
