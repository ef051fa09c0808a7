import type { Environment } from '@countersign/service-kit';
import {
  type Alias,
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  Parser,
  type Scalar,
  visit,
  type YAMLMap,
  YAMLParseError,
} from 'yaml';
import { type Origin, substitute } from './variables.ts';
import { boundedTokens, TooDeep } from './yaml-depth.ts';
import { type Problem, syntaxProblems, unseenProblems } from './yaml-syntax.ts';

export type Path = readonly (string | number)[];

export type { Problem } from './yaml-syntax.ts';

/** A string with variables in it. `shown`: what can be shown of it, with what came from the environment as the variable. */
export type Variable = Readonly<{ path: Path; shown: string; origin: Origin }>;

/** A YAML file as plain values, and where each came from. */
export type Source = Readonly<{
  value: unknown;
  problems: readonly Problem[];
  /** Where the value at a path begins, or that of its nearest ancestor. */
  offsetOf(path: Path): number;
  /** Where the key at a path begins. */
  keyOffsetOf(path: Path): number;
  originOf(path: Path): Origin;
  /** The strings with variables in them. */
  variables(): Iterable<Variable>;
  /** The string at a path for somebody to look at: what came from the environment stays the variable that it is. */
  shownAt(path: Path): string;
  /** Whether what stands at a path is known to be a problem already: variables, an alias or a tag. */
  isBroken(path: Path): boolean;
  /** `line:column`, from 1. */
  lineColumn(offset: number): string;
}>;

/** Bounds for a file that somebody hostile may have written. */
const bounds = { depth: 24, nodes: 1_000_000 };

/** Room for 10,000 routes, which the schema allows, written out at some 800 bytes each. */
export const maxBytes = 8 * 1024 * 1024;
export const tooLarge = `the file is larger than ${maxBytes / 1024 / 1024} MiB`;

const unsafeKeys = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Reads YAML 1.2 with the core schema: no merge keys, no tags, no second document, no key written twice. Variables are
 * put in after parsing, in string values only, so that a value can never become structure.
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
  if (typeof document === 'number') {
    lines.lineStarts = [...text.matchAll(/^/gm)].map((match) => match.index);
    return { ...none, problems: [{ offset: document, message: tooDeep }] };
  }
  const syntax = [...unseenProblems(text), ...syntaxProblems(document, text)];
  if (document.errors.length > 0 || document.contents === null) {
    return { ...none, problems: syntax.length > 0 ? syntax : [{ offset: 0, message: 'the file is empty' }] };
  }

  const walk = new Walk(document, text, env);
  const value = walk.valueOf(document.contents, [], 0, 0);
  return {
    value,
    problems: [...syntax, ...walk.problems],
    offsetOf: (path) => walk.placeOf(path).offset,
    keyOffsetOf: (path) => walk.placeOf(path).keyOffset,
    originOf: (path) => walk.variables.get(keyOf(path))?.origin ?? 'written',
    variables: () => walk.variables.values(),
    shownAt: (path) => walk.variables.get(keyOf(path))?.shown ?? '',
    isBroken: (path) => walk.broken.has(keyOf(path)),
    lineColumn,
  };
}

const nothing = {
  value: undefined,
  offsetOf: () => 0,
  keyOffsetOf: () => 0,
  originOf: () => 'written' as const,
  variables: () => [],
  shownAt: () => '',
  isBroken: () => false,
};
const tooDeep = `nested deeper than ${bounds.depth} levels`;

/** @returns The offset where the file is nested too deeply, if it is. */
function parse(text: string, lineCounter: LineCounter): Document.Parsed | number {
  const tokens = boundedTokens(text, bounds.depth, new Parser(lineCounter.addNewLine));
  // Its own search for keys that are written twice takes time by the square of their number.
  const composer = new Composer({ version: '1.2', schema: 'core', merge: false, uniqueKeys: false });
  try {
    lineCounter.addNewLine(0);
    const [document, second] = composer.compose(tokens, true, text.length) as Iterable<Document.Parsed>;
    if (document === undefined) throw new Error('the composer made no document');
    if (second !== undefined) {
      document.errors.push(
        new YAMLParseError([second.range[0], second.range[1]], 'MULTIPLE_DOCS', 'a second document'),
      );
    }
    return document;
  } catch (error) {
    if (error instanceof TooDeep) return error.offset;
    throw error;
  }
}

/** Turns nodes into plain values; counts what it visits, since aliases can make much of little. */
class Walk {
  readonly problems: Problem[] = [];
  /** Strings with variables, by path. A large file has hundreds of thousands of values, so only these are recorded. */
  readonly variables = new Map<string, Variable>();
  readonly broken = new Set<string>();
  readonly #contents: Node;
  readonly #anchored: ReadonlyMap<Alias, Node>;
  readonly #pairs = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  readonly #env: Environment;
  #visited = 0;

  constructor(document: Document.Parsed, text: string, env: Environment) {
    this.#contents = document.contents as Node;
    this.#anchored = anchoredNodes(document, text);
    this.#env = env;
  }

  /** @param parentOffset For a value that has no place of its own. */
  valueOf(node: Node | null, path: Path, depth: number, parentOffset: number): unknown {
    const offset = node?.range?.[0] ?? parentOffset;
    this.#visited += 1;
    if (depth > bounds.depth) return this.#stop(offset, tooDeep);
    if (this.#visited > bounds.nodes) return this.#stop(offset, 'too many values, counting what aliases repeat');

    if (isAlias(node)) {
      const anchored = this.#anchored.get(node);
      if (anchored !== undefined) return this.valueOf(anchored, path, depth + 1, offset);
      this.broken.add(keyOf(path));
      this.problems.push({
        offset,
        message: `there is no anchor "&${node.source}" before this; a text that begins with "*" needs quotes`,
      });
      return undefined;
    }
    if (node !== null && 'tag' in node && isForeignTag(node.tag)) {
      this.broken.add(keyOf(path));
      this.problems.push({ offset, message: 'tags ("!…") are not used here' });
      return undefined;
    }
    if (isMap(node)) return this.#mapOf(node, path, depth, offset);
    if (isSeq(node))
      return node.items.map((item, index) => this.valueOf(item as Node | null, [...path, index], depth + 1, offset));
    if (!isScalar(node)) return null;
    return typeof node.value === 'string' ? this.#textOf(node.value, path, offset) : node.value;
  }

  #mapOf(node: YAMLMap, path: Path, depth: number, parentOffset: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    const seen = new Map<string, number>();
    for (const { key, value } of node.items) {
      const offset = (key as ParsedNode | null)?.range?.[0] ?? parentOffset;
      if (!isKey(key)) {
        this.problems.push({ offset, message: 'not a key: keys are plain words' });
        continue;
      }
      const first = seen.get(key.value);
      if (first !== undefined) {
        this.problems.push({ offset, message: 'this key is written twice', other: first });
        continue;
      }
      seen.set(key.value, offset);
      const at = [...path, key.value];
      const item = this.valueOf(value as Node | null, at, depth + 1, offset);
      // An empty variable is as if the key were not there; an empty string that is written stays.
      if (item === '' && this.variables.has(keyOf(at))) continue;
      map[key.value] = item;
    }
    return map;
  }

  #textOf(text: string, path: Path, offset: number): string {
    if (!text.includes('$')) return text;
    const { text: replaced, shown, origin, problems } = substitute(text, this.#env);
    this.variables.set(keyOf(path), { path, shown, origin });
    if (problems.length > 0) this.broken.add(keyOf(path));
    for (const message of problems) this.problems.push({ offset, message });
    return replaced;
  }

  /** Where the value and the key at a path begin, or their nearest ancestor. */
  placeOf(path: Path): Readonly<{ offset: number; keyOffset: number }> {
    let node: Node | null = this.#contents;
    let offset = node.range?.[0] ?? 0;
    let keyOffset = offset;
    for (const step of path) {
      const target: Node | null | undefined = isAlias(node) ? this.#anchored.get(node) : node;
      const pair: Pair | undefined = isMap(target) ? this.#pairsOf(target).get(String(step)) : undefined;
      const item = pair === undefined && isSeq(target) ? target.items[Number(step)] : pair?.value;
      if (item === undefined) return { offset, keyOffset: offset };
      node = item as Node | null;
      offset = node?.range?.[0] ?? offset;
      keyOffset = (pair?.key as Node | undefined)?.range?.[0] ?? offset;
    }
    return { offset, keyOffset };
  }

  #pairsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
    let pairs = this.#pairs.get(map);
    if (pairs === undefined) {
      // Of a key that is written twice the first counts.
      pairs = new Map(
        map.items.flatMap((pair) => (isKey(pair.key) ? [[pair.key.value, pair] as const] : [])).reverse(),
      );
      this.#pairs.set(map, pairs);
    }
    return pairs;
  }

  // Said once, however many values it cuts off.
  #stop(offset: number, message: string): undefined {
    if (!this.problems.some((problem) => problem.message === message)) this.problems.push({ offset, message });
    return undefined;
  }
}

function isKey(key: unknown): key is Scalar<string> {
  return isScalar(key) && typeof key.value === 'string' && !unsafeKeys.has(key.value);
}

/** What each alias stands for; found in one pass, where the library looks through the document for every alias. */
function anchoredNodes(document: Document.Parsed, text: string): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const anchored = new Map<Alias, Node>();
  if (!text.includes('&')) return anchored;
  visit(document, {
    Value: (_key, node) => void (node.anchor !== undefined && anchors.set(node.anchor, node)),
    Alias: (_key, node) => {
      const target = anchors.get(node.source);
      if (target !== undefined) anchored.set(node, target);
    },
  });
  return anchored;
}

const coreTag = /^tag:yaml\.org,2002:(map|seq|str|null|bool|int|float)$/;

function isForeignTag(tag: string | undefined): boolean {
  return tag !== undefined && !coreTag.test(tag);
}

const keyOf = (path: Path) => JSON.stringify(path);
