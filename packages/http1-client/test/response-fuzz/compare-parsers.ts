import { isDeepStrictEqual } from 'node:util';
import { cut, makeResponse, mutate } from './make-response.ts';
import { Random } from './random.ts';
import type { Reading } from './read-response.ts';
import { readWithClient } from './read-with-client.ts';
import { readWithNode } from './read-with-node.ts';

export type Counts = { accepted: number; refusedByBoth: number; refusedByClient: number };

/**
 * Parses random responses with our parser and with Node's. Ours may refuse more, but Node's parser must accept
 * everything that ours accepts, with the same result.
 *
 * @throws Error with the seed and the bytes of the first difference.
 */
export function compareParsers(seed: number, responses: number): Counts {
  const random = new Random(seed);
  const counts: Counts = { accepted: 0, refusedByBoth: 0, refusedByClient: 0 };
  for (let count = 0; count < responses; count += 1) {
    const { method, text } = makeResponse(random);
    const mutated = random.chance(85) ? mutate(random, text) : text;
    const wire = cut(random, method, mutated);
    const ours = readWithClient(wire);
    const nodes = readWithNode(wire);
    const difference = differenceOf(method, ours, nodes);
    if (difference !== undefined) {
      const shown = JSON.stringify({ seed, count, method, mutated, ours, nodes }, undefined, 2);
      throw new Error(`${difference}: ${shown}`);
    }
    if (ours.isComplete) counts.accepted += 1;
    else if (nodes.isComplete) counts.refusedByClient += 1;
    else counts.refusedByBoth += 1;
  }
  return counts;
}

function differenceOf(method: string, ours: Reading, nodes: Reading): string | undefined {
  if (ours.status === undefined) return undefined;
  if (ours.status !== nodes.status) return 'another status';
  if (!isDeepStrictEqual(ours.fields, nodes.fields)) return 'other headers';
  if (!ours.isComplete) return undefined;
  if (!nodes.isComplete) return 'node refused this';
  if (ours.body !== nodes.body) return 'another body';
  if (!isDeepStrictEqual(ours.trailers, nodes.trailers)) return 'other trailers';
  // Node decides this before it considers that a response to HEAD has no body.
  return method !== 'HEAD' && ours.mayReuse && !nodes.mayReuse ? 'node closes this connection' : undefined;
}
