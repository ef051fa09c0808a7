import { isMethod, isPath, isQuery } from '../contract/grammar.ts';
import { IdentityRefused } from '../contract/refusal.ts';
import type { SignedTarget } from './signed-message.ts';

/**
 * Splits a request target at its first `?`. No query and an empty one are the same in RFC 9421.
 *
 * @throws IdentityRefused `target_malformed` for anything but origin form in the characters and segments that a WHATWG URL keeps.
 */
export function splitTarget(method: string, target: string): SignedTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark);
  if (!isMethod(method) || !isPath(path) || !isQuery(query)) throw new IdentityRefused('target_malformed');
  return { path, query };
}
