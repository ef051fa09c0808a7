import type { ClaimPath } from '../../config/config.ts';

/** Whether a text at this path is a list with spaces between its items (RFC 6749 section 3.3). */
export const isSpaced = (path: ClaimPath): boolean => path.length === 1 && (path[0] === 'scope' || path[0] === 'scp');

/** The texts of a claim: a list, or one text. Undefined: another type. */
export function textsOf(value: unknown, path: ClaimPath): readonly string[] | undefined {
  if (typeof value === 'string') return isSpaced(path) ? value.split(' ') : [value];
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined;
}
