import type { Environment } from '@countersign/service-kit';
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type ParsedNode,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import type { FileProblem, Path, Source, Variable } from './source.ts';
import { maxDepth, tooDeepMessage } from './tokens.ts';
import { substitute } from './variables.ts';
import { rememberKeys } from './written-keys.ts';

const maxNodes = 1_000_000;
const unsafeKeys = new Set(['__proto__', 'constructor', 'prototype']);

/** Turns the nodes of a document into plain values. It counts them, since a few aliases can repeat many. */
export class NodeReader {
  readonly #problems: FileProblem[] = [];
  /** Strings with variables, by path. A large file has hundreds of thousands of values, so only these are recorded. */
  readonly #variables = new Map<string, Variable>();
  readonly #broken = new Set<string>();
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

  /** @param syntax Problems that the parser has found. */
  read(syntax: readonly FileProblem[]): Omit<Source, 'lineColumn'> {
    const value = this.#valueOf(this.#contents, [], 0, 0);
    return {
      value,
      problems: [...syntax, ...this.#problems],
      offsetOf: (path) => this.#placeOf(path).offset,
      keyOffsetOf: (path) => this.#placeOf(path).keyOffset,
      originOf: (path) => this.#variables.get(keyOf(path))?.origin ?? 'written',
      variables: () => this.#variables.values(),
      redactedAt: (path) => this.#variables.get(keyOf(path))?.redacted ?? '',
      isBroken: (path) => this.#broken.has(keyOf(path)),
    };
  }

  /** @param parentOffset The place of a value that has none of its own. */
  #valueOf(node: Node | null, path: Path, depth: number, parentOffset: number): unknown {
    const offset = node?.range?.[0] ?? parentOffset;
    this.#visited += 1;
    if (depth > maxDepth) return this.#stop(offset, tooDeepMessage);
    if (this.#visited > maxNodes) return this.#stop(offset, 'too many values, including those that aliases repeat');

    if (isAlias(node)) {
      const anchored = this.#anchored.get(node);
      if (anchored !== undefined) return this.#valueOf(anchored, path, depth + 1, offset);
      return this.#refuse(
        path,
        offset,
        `there is no anchor "&${node.source}" before this; a text that begins with "*" needs quotes`,
      );
    }
    if (node !== null && 'tag' in node && isForeignTag(node.tag)) {
      return this.#refuse(path, offset, 'tags ("!…") are not supported');
    }
    if (isMap(node)) return this.#mapOf(node, path, depth, offset);
    if (isSeq(node))
      return node.items.map((item, index) => this.#valueOf(item as Node | null, [...path, index], depth + 1, offset));
    if (!isScalar(node)) return null;
    return typeof node.value === 'string' ? this.#textOf(node.value, path, offset) : node.value;
  }

  #mapOf(node: YAMLMap, path: Path, depth: number, parentOffset: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    const seen = new Map<string, number>();
    for (const { key, value } of node.items) {
      const offset = (key as ParsedNode | null)?.range?.[0] ?? parentOffset;
      if (!isKey(key)) {
        // The rest of the map says too little: a map of one entry would seem to be empty.
        this.#refuse(path, offset, `not a key: ${whyNoKey(key)}`);
        continue;
      }
      const first = seen.get(key.value);
      if (first !== undefined) {
        this.#problems.push({ offset, message: 'this key is written twice', other: first });
        continue;
      }
      seen.set(key.value, offset);
      const at = [...path, key.value];
      const item = this.#valueOf(value as Node | null, at, depth + 1, offset);
      // An empty variable counts as an absent key; a written empty string stays.
      if (item === '' && this.#variables.has(keyOf(at))) continue;
      map[key.value] = item;
    }
    rememberKeys(
      map,
      Object.keys(map).length === seen.size ? [...seen.keys()] : [...seen.keys()].filter((key) => key in map),
    );
    return map;
  }

  #textOf(text: string, path: Path, offset: number): string {
    if (!text.includes('$')) return text;
    const { text: replaced, redacted, origin, problems } = substitute(text, this.#env);
    this.#variables.set(keyOf(path), { path, redacted, origin });
    for (const message of problems) this.#refuse(path, offset, message);
    return replaced;
  }

  /** The places of the value and the key at a path, or of their nearest ancestor. */
  #placeOf(path: Path): Readonly<{ offset: number; keyOffset: number }> {
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
      // The first of two equal keys counts.
      pairs = new Map(
        map.items.flatMap((pair) => (isKey(pair.key) ? [[pair.key.value, pair] as const] : [])).reverse(),
      );
      this.#pairs.set(map, pairs);
    }
    return pairs;
  }

  #refuse(path: Path, offset: number, message: string): undefined {
    this.#broken.add(keyOf(path));
    this.#problems.push({ offset, message });
  }

  // Reported once, however many values are left out.
  #stop(offset: number, message: string): undefined {
    if (!this.#problems.some((problem) => problem.message === message)) this.#problems.push({ offset, message });
  }
}

function isKey(key: unknown): key is Scalar<string> {
  return isScalar(key) && typeof key.value === 'string' && !unsafeKeys.has(key.value);
}

function whyNoKey(key: unknown): string {
  if (!isScalar(key)) return 'keys are plain words';
  if (typeof key.value === 'number') return 'a number needs quotes';
  if (!unsafeKeys.has(String(key.value))) return 'keys are plain words';
  return `"${key.value}" is reserved; for a value of a token, write a list of pairs: [[${key.value}, …]]`;
}

/** The node of each alias, found in one pass. The library searches the document again for every alias. */
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
