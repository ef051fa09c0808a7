import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  type Pair,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The origin of a string. Secrets must come from `variable`. `default` means that the variable has a default, used or
 * not.
 */
type Origin = 'written' | 'variable' | 'default';

const reference = /\$\$|\$\{/g;
const variable = /^\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}$/;

type Piece = Readonly<{ value: string; redacted?: string; origin: Origin }>;

const written = (value: string): Piece => ({ value, origin: 'written' });

/**
 * Replaces the variables in a string: `${VAR}`, `${VAR:-default}`, and `$$` for a dollar. As in a shell, `:-` also
 * applies to an empty variable. Replaced values are not searched again, and variables do not nest.
 */
export function substitute(text: string, env: Environment) {
  const problems: string[] = [];
  const pieces = splitAtReferences(text).map((piece, index) => {
    if (index % 2 === 0) return written(piece);
    return piece === '$$' ? written('$') : readVariable(piece, env, problems);
  });
  const origins = new Set(pieces.map(({ origin }) => origin));
  const origin: Origin = (['default', 'variable'] as const).find((one) => origins.has(one)) ?? 'written';
  return {
    text: pieces.map(({ value }) => value).join(''),
    /** The text with `${NAME}` in place of every value from the environment. */
    redacted: pieces.map(({ value, redacted }) => redacted ?? value).join(''),
    origin,
    problems,
  };
}

/** Returns text at even indexes, and `$$`, `${…}` or an unclosed `${` at odd ones. Takes linear time. */
function splitAtReferences(text: string): readonly string[] {
  const lastBrace = text.lastIndexOf('}');
  const pieces: string[] = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(reference)) {
    if (index < end) continue;
    const next = found === '$$' || index > lastBrace ? index + found.length : text.indexOf('}', index) + 1;
    pieces.push(text.slice(end, index), text.slice(index, next));
    end = next;
  }
  return [...pieces, text.slice(end)];
}

function readVariable(whole: string, env: Environment, problems: string[]): Piece {
  const [, name, fallback] = variable.exec(whole) ?? [];
  // The default in `${A:-${B}}` would end at the first brace.
  if (name === undefined || fallback?.includes('${')) {
    problems.push(`malformed variable: write "\${NAME}", "\${NAME:-default}", or "$$" for a dollar; they do not nest`);
    return written('');
  }
  const value = env[name];
  if (value) return { value, redacted: whole, origin: fallback ? 'default' : 'variable' };
  if (fallback !== undefined) return { value: fallback, origin: 'default' };
  if (value === undefined) {
    problems.push(`the variable ${name} is not set, and has no default ("\${${name}:-default}")`);
  }
  return { value: '', origin: 'variable' };
}

export type Path = readonly (string | number)[];

/** A problem at an offset in the text. `other` is the offset of the value that it conflicts with. */
export type FileProblem = Readonly<{ offset: number; message: string; other?: number }>;

/** The strings with variables in a value, as written: one text, or those of its items, by key or index. */
export type Written = string | { [step: string | number]: Written };

/** A string with variables. `redacted` has `${NAME}` in place of every value from the environment. */
type Variable = Readonly<{ redacted: string; origin: Origin }>;

export const maxDepth = 24;
export const tooDeep = `nested deeper than ${maxDepth} levels`;

const maxNodes = 1_000_000;
const unsafeKeys = new Set(['__proto__', 'constructor', 'prototype']);
const coreTag = /^tag:yaml\.org,2002:(map|seq|str|null|bool|int|float)$/;

type Given = Readonly<{ text: string; env: Environment; lines: LineCounter }>;

/** The values in a YAML file and their positions. Counts the values, because a few aliases can repeat many. */
export class Source {
  /** Undefined if the file is not YAML. */
  readonly value: unknown;
  readonly problems: FileProblem[];
  /**
   * Strings with variables, by path. Only these are recorded, because a large file has hundreds of thousands of values.
   */
  readonly #variables = new Map<string, Variable>();
  readonly #written: Written = Object.create(null);
  readonly #broken = new Set<string>();
  readonly #contents: Node | null;
  readonly #anchored: ReadonlyMap<Alias, Node>;
  readonly #env: Environment;
  readonly #lines: LineCounter;
  #visited = 0;

  constructor(document: Document.Parsed | undefined, problems: readonly FileProblem[], { text, env, lines }: Given) {
    this.problems = [...problems];
    this.#lines = lines;
    this.#env = env;
    this.#contents = document?.contents ?? null;
    this.#anchored = text.includes('&') && document !== undefined ? anchoredNodes(document) : new Map();
    this.value = this.#contents === null ? undefined : this.#valueOf(this.#contents, [], 0, 0);
  }

  originOf(path: Path): Origin {
    return this.#variables.get(keyOf(path))?.origin ?? 'written';
  }

  /** Returns the string at a path, with variable names instead of their values. Empty if it has no variables. */
  redactedAt(path: Path): string {
    return this.#variables.get(keyOf(path))?.redacted ?? '';
  }

  /** Returns the variables at a path and inside. Undefined if there are none. */
  variablesAt(path: Path): Written | undefined {
    return path.reduce<Written | undefined>(
      (at, step) => (typeof at === 'object' ? at[step] : undefined),
      this.#written,
    );
  }

  /** Whether `problems` already has the value at a path, for its variables, alias or tag. */
  isBroken(path: Path): boolean {
    return this.#broken.has(keyOf(path));
  }

  lineColumn(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${Math.max(line, 1)}:${Math.max(col, 1)}`;
  }

  /** @param parentOffset The position for a value without its own. */
  #valueOf(node: Node | null, path: Path, depth: number, parentOffset: number): unknown {
    const offset = node?.range?.[0] ?? parentOffset;
    this.#visited += 1;
    if (depth > maxDepth) return this.#stop(offset, tooDeep);
    if (this.#visited > maxNodes) return this.#stop(offset, 'too many values, including those that aliases repeat');
    if (isAlias(node)) {
      const anchored = this.#anchored.get(node);
      if (anchored !== undefined) return this.#valueOf(anchored, path, depth + 1, offset);
      const why = `there is no anchor "&${node.source}" before this; a text that begins with "*" needs quotes`;
      return this.#refuse(path, offset, why);
    }
    if (node?.tag !== undefined && !coreTag.test(node.tag)) {
      return this.#refuse(path, offset, 'tags ("!…") are not supported');
    }
    if (isMap(node)) return this.#mapOf(node, path, depth, offset);
    if (isSeq(node)) {
      return node.items.map((item, index) => this.#valueOf(item as Node | null, [...path, index], depth + 1, offset));
    }
    if (!isScalar(node)) return null;
    return typeof node.value === 'string' ? this.#textOf(node.value, path, offset) : node.value;
  }

  #mapOf(node: YAMLMap, path: Path, depth: number, parentOffset: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    const seen = new Map<string, number>();
    for (const { key, value } of node.items) {
      const offset = (key as Node | null)?.range?.[0] ?? parentOffset;
      if (!isKey(key)) {
        // Ignores the rest of the map, because a map with one entry would look empty.
        this.#refuse(path, offset, `not a key: ${whyNoKey(key)}`);
        continue;
      }
      const first = seen.get(key.value);
      if (first !== undefined) {
        this.problems.push({ offset, message: 'duplicate key', other: first });
        continue;
      }
      seen.set(key.value, offset);
      const at = [...path, key.value];
      const item = this.#valueOf(value as Node | null, at, depth + 1, offset);
      // An empty variable counts as an absent key. A written empty string stays.
      if (item === '' && this.#variables.has(keyOf(at))) continue;
      map[key.value] = item;
    }
    if ([...seen.keys()].some((key) => integerLike.test(key))) writtenOrder.set(map, [...seen.keys()]);
    return map;
  }

  #textOf(text: string, path: Path, offset: number): string {
    if (!text.includes('$')) return text;
    const { text: replaced, redacted, origin, problems } = substitute(text, this.#env);
    this.#variables.set(keyOf(path), { redacted, origin });
    const parent = path.slice(0, -1).reduce<Written>((at, step) => {
      if (typeof at === 'object') at[step] ??= Object.create(null) as Written;
      return (at as Exclude<Written, string>)[step] as Written;
    }, this.#written);
    if (typeof parent === 'object') parent[path.at(-1) ?? ''] = text;
    for (const message of problems) this.#refuse(path, offset, message);
    return replaced;
  }

  /** Returns the offsets of the value and key at a path, or of their nearest ancestor. */
  placeOf(path: Path): Readonly<{ offset: number; keyOffset: number }> {
    let node = this.#contents;
    let offset = node?.range?.[0] ?? 0;
    let keyOffset = offset;
    for (const step of path) {
      const resolved: Node | null | undefined = isAlias(node) ? this.#anchored.get(node) : node;
      // Of two equal keys, the first one counts.
      const pair = isMap(resolved) ? resolved.items.find(({ key }) => isKey(key) && key.value === step) : undefined;
      const item = isSeq(resolved) ? resolved.items[Number(step)] : pair?.value;
      if (item === undefined) return { offset, keyOffset: offset };
      node = item as Node | null;
      offset = node?.range?.[0] ?? offset;
      keyOffset = ((pair as Pair<Node> | undefined)?.key ?? node)?.range?.[0] ?? offset;
    }
    return { offset, keyOffset };
  }

  #refuse(path: Path, offset: number, message: string): undefined {
    this.#broken.add(keyOf(path));
    this.problems.push({ offset, message });
  }

  // Reported once, however many values are left out.
  #stop(offset: number, message: string): undefined {
    if (!this.problems.some((problem) => problem.message === message)) this.problems.push({ offset, message });
  }
}

// JavaScript moves keys that look like integers to the front of an object, so maps with such keys are recorded here.
// Most files have none.
const writtenOrder = new WeakMap<object, readonly string[]>();
const integerLike = /^(?:0|[1-9]\d*)$/;

/** Returns a map's keys in the order of the file. */
export function writtenKeys(map: Record<string, unknown>): readonly string[] {
  return writtenOrder.get(map)?.filter((key) => key in map) ?? Object.keys(map);
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

/** Finds the node of each alias in one pass. The library would search the document again for every alias. */
function anchoredNodes(document: Document.Parsed): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const anchored = new Map<Alias, Node>();
  visit(document, {
    Value: (_key, node) => void (node.anchor !== undefined && anchors.set(node.anchor, node)),
    Alias: (_key, node) => {
      const resolved = anchors.get(node.source);
      if (resolved !== undefined) anchored.set(node, resolved);
    },
  });
  return anchored;
}

const keyOf = (path: Path) => JSON.stringify(path);
