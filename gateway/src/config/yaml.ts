import type { Environment } from '@countersign/service-kit';
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import { type Origin, substitute } from './variables.ts';
import { findTooDeep } from './yaml-depth.ts';
import { type Problem, syntaxProblems, unseenProblems } from './yaml-syntax.ts';

export type Path = readonly (string | number)[];

export type { Problem } from './yaml-syntax.ts';

/** A YAML file as plain values, and where each came from. */
export type Source = Readonly<{
  value: unknown;
  problems: readonly Problem[];
  /** Where the value at a path begins, or that of its nearest ancestor. */
  offsetOf(path: Path): number;
  /** Where the key at a path begins. */
  keyOffsetOf(path: Path): number;
  originOf(path: Path): Origin;
  /** The string at a path for somebody to look at: what came from the environment stays the variable that it is. */
  shownAt(path: Path): string;
  /** Whether what stands at a path is known to be a problem already: variables, an alias or a tag. */
  isBroken(path: Path): boolean;
  /** `line:column`, from 1. */
  lineColumn(offset: number): string;
}>;

/** Bounds for a file that somebody hostile may have written. */
const bounds = { depth: 24, nodes: 200_000 };

export const maxBytes = 512 * 1024;
export const tooLarge = `the file is larger than ${maxBytes / 1024} KiB`;

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

  const deep = findTooDeep(text, bounds.depth);
  if (deep !== undefined) {
    lines.lineStarts = [...text.matchAll(/^/gm)].map((match) => match.index);
    return { ...none, problems: [{ offset: deep, message: tooDeep }] };
  }

  const document = parse(text, lines);
  const syntax = [...unseenProblems(text), ...syntaxProblems(document, text)];
  if (document.errors.length > 0 || document.contents === null) {
    return { ...none, problems: syntax.length > 0 ? syntax : [{ offset: 0, message: 'the file is empty' }] };
  }

  const walk = new Walk(document, env);
  const value = walk.valueOf(document.contents, [], 0);
  return {
    value,
    problems: [...syntax, ...walk.problems],
    offsetOf: (path) => nearest(walk.values, path),
    keyOffsetOf: (path) => walk.keys.get(keyOf(path)) ?? nearest(walk.values, path),
    originOf: (path) => walk.origins.get(keyOf(path)) ?? 'written',
    shownAt: (path) => walk.shown.get(keyOf(path)) ?? '',
    isBroken: (path) => walk.broken.has(keyOf(path)),
    lineColumn,
  };
}

const nothing = {
  value: undefined,
  offsetOf: () => 0,
  keyOffsetOf: () => 0,
  originOf: () => 'written' as const,
  shownAt: () => '',
  isBroken: () => false,
};
const tooDeep = `nested deeper than ${bounds.depth} levels`;

function parse(text: string, lineCounter: LineCounter): Document.Parsed {
  // Its own search for keys that are written twice takes time by the square of their number.
  return parseDocument(text, {
    lineCounter,
    version: '1.2',
    schema: 'core',
    merge: false,
    prettyErrors: false,
    uniqueKeys: false,
  });
}

/** Turns nodes into plain values; counts what it visits, since aliases can make much of little. */
class Walk {
  readonly problems: Problem[] = [];
  readonly values = new Map<string, number>();
  readonly keys = new Map<string, number>();
  readonly origins = new Map<string, Origin>();
  readonly shown = new Map<string, string>();
  readonly broken = new Set<string>();
  readonly #anchored: ReadonlyMap<Alias, Node>;
  readonly #env: Environment;
  #visited = 0;

  constructor(document: Document.Parsed, env: Environment) {
    this.#anchored = anchoredNodes(document);
    this.#env = env;
  }

  valueOf(node: Node | null, path: Path, depth: number): unknown {
    const offset = node?.range?.[0] ?? nearest(this.values, path);
    if (!this.values.has(keyOf(path))) this.values.set(keyOf(path), offset);
    this.#visited += 1;
    if (depth > bounds.depth) return this.#stop(offset, tooDeep);
    if (this.#visited > bounds.nodes) return this.#stop(offset, 'too many values, counting what aliases repeat');

    if (isAlias(node)) {
      const anchored = this.#anchored.get(node);
      if (anchored !== undefined) return this.valueOf(anchored, path, depth + 1);
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
    if (isMap(node)) return this.#mapOf(node, path, depth);
    if (isSeq(node))
      return node.items.map((item, index) => this.valueOf(item as Node | null, [...path, index], depth + 1));
    if (!isScalar(node)) return null;
    return typeof node.value === 'string' ? this.#textOf(node.value, path, offset) : node.value;
  }

  #mapOf(node: YAMLMap, path: Path, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (const { key, value } of node.items) {
      const offset = (key as ParsedNode | null)?.range?.[0] ?? node.range?.[0] ?? 0;
      if (!isScalar(key) || typeof key.value !== 'string' || unsafeKeys.has(key.value)) {
        this.problems.push({ offset, message: 'not a key: keys are plain words' });
        continue;
      }
      const at = [...path, key.value];
      if (this.keys.has(keyOf(at))) {
        this.problems.push({ offset, message: 'this key is written twice' });
        continue;
      }
      this.keys.set(keyOf(at), offset);
      const item = this.valueOf(value as Node | null, at, depth + 1);
      // An empty variable is as if the key were not there; an empty string that is written stays.
      if (item === '' && this.#originOf(at) !== 'written') continue;
      map[key.value] = item;
    }
    return map;
  }

  #textOf(text: string, path: Path, offset: number): string {
    const { text: replaced, shown, origin, problems } = substitute(text, this.#env);
    this.origins.set(keyOf(path), origin);
    this.shown.set(keyOf(path), shown);
    if (problems.length > 0) this.broken.add(keyOf(path));
    for (const message of problems) this.problems.push({ offset, message });
    return replaced;
  }

  #originOf(path: Path): Origin {
    return this.origins.get(keyOf(path)) ?? 'written';
  }

  // Said once, however many values it cuts off.
  #stop(offset: number, message: string): undefined {
    if (!this.problems.some((problem) => problem.message === message)) this.problems.push({ offset, message });
    return undefined;
  }
}

/** What each alias stands for; found in one pass, where the library looks through the document for every alias. */
function anchoredNodes(document: Document.Parsed): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const anchored = new Map<Alias, Node>();
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

function nearest(offsets: ReadonlyMap<string, number>, path: Path): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const offset = offsets.get(keyOf(path.slice(0, length)));
    if (offset !== undefined) return offset;
  }
  return 0;
}
