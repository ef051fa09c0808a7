import type { Segment } from './path-pattern.ts';

type Node<T> = Readonly<{ literals: Map<string, Node<T>>; params: Node<T>[]; ending: T[]; rest: T[] }>;

const newNode = <T>(): Node<T> => ({ literals: new Map(), params: [], ending: [], rest: [] });

/** Values by pattern. Finds those whose paths a pattern can match without a look at all others. */
export class PatternIndex<T> {
  readonly #root = newNode<T>();

  add(segments: readonly Segment[], value: T): void {
    let node = this.#root;
    for (const segment of segments) {
      if (segment.kind === 'rest') {
        node.rest.push(value);
        return;
      }
      const next = segment.kind === 'param' ? node.params[0] : node.literals.get(segment.text);
      const child = next ?? newNode<T>();
      if (next === undefined && segment.kind === 'param') node.params.push(child);
      else if (next === undefined && segment.kind === 'literal') node.literals.set(segment.text, child);
      node = child;
    }
    node.ending.push(value);
  }

  /** Yields the values of the patterns for which `intersectionOf` finds paths. */
  *intersecting(segments: readonly Segment[]): Generator<T> {
    yield* within(this.#root, segments);
  }
}

function* within<T>(node: Node<T>, segments: readonly Segment[]): Generator<T> {
  const [first, ...others] = segments;
  yield* node.rest;
  if (first === undefined || first.kind === 'rest') yield* node.ending;
  if (first === undefined) return;
  const left = first.kind === 'rest' ? segments : others;
  const literals = first.kind === 'literal' ? [node.literals.get(first.text)] : node.literals.values();
  for (const child of [...literals, ...node.params]) if (child !== undefined) yield* within(child, left);
}
