import type { Environment } from '@countersign/service-kit';
import { Composer, type Document, LineCounter, Parser, YAMLParseError } from 'yaml';
import { NodeReader } from './node-reader.ts';
import type { Source } from './source.ts';
import { invisibleCharacters, syntaxProblems } from './syntax.ts';
import { boundedTokens, TooDeep } from './tokens.ts';

/** Enough for the 10,000 routes that the schema allows, at about 800 bytes each. */
export const maxBytes = 8 * 1024 * 1024;
export const tooLarge = `the file is larger than ${maxBytes / 1024 / 1024} MiB`;

/**
 * Reads YAML 1.2 with the core schema: no merge keys, no tags, one document, each key once. Variables are replaced after parsing and in
 * string values only, so a value cannot change the structure.
 */
export function readYaml(text: string, env: Environment): Source {
  const lines = new LineCounter();
  const lineColumn = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const none = { ...nothing, lineColumn };
  if (Buffer.byteLength(text) > maxBytes) return { ...none, problems: [{ offset: 0, message: tooLarge }] };

  const document = parse(text, lines);
  if (document instanceof TooDeep) {
    lines.lineStarts = [...text.matchAll(/^/gm)].map((match) => match.index);
    return { ...none, problems: [{ offset: document.offset, message: document.message }] };
  }
  const syntax = [...invisibleCharacters(text), ...syntaxProblems(document, text)];
  if (document.errors.length > 0 || document.contents === null) {
    return { ...none, problems: syntax.length > 0 ? syntax : [{ offset: 0, message: 'the file is empty' }] };
  }
  return { ...new NodeReader(document, text, env).read(syntax), lineColumn };
}

const nothing = {
  value: undefined,
  offsetOf: () => 0,
  keyOffsetOf: () => 0,
  originOf: () => 'written' as const,
  variables: () => [],
  redactedAt: () => '',
  isBroken: () => false,
};

function parse(text: string, lineCounter: LineCounter): Document.Parsed | TooDeep {
  const tokens = boundedTokens(text, new Parser(lineCounter.addNewLine));
  // The composer's own search for duplicate keys takes quadratic time.
  const composer = new Composer({ version: '1.2', schema: 'core', merge: false, uniqueKeys: false });
  try {
    lineCounter.addNewLine(0);
    const [document, second] = composer.compose(tokens, true, text.length) as Iterable<Document.Parsed>;
    if (document === undefined) throw new Error('the composer made no document');
    if (second !== undefined) {
      const [start, end] = second.range;
      document.errors.push(new YAMLParseError([start, end], 'MULTIPLE_DOCS', 'a second document'));
    }
    return document;
  } catch (error) {
    if (error instanceof TooDeep) return error;
    throw error;
  }
}
