import { entityTag } from '@countersign/service-kit';
import type { Request } from 'express';
import { AppError } from '../../errors.ts';
import type { AssertCurrent } from '../../flows/parts.ts';

/**
 * Checks `If-Match` against the revision in the tags: a client may change a complaint whose state it has read, even if
 * a name has changed since. A request without `If-Match` passes. Weak tags never match.
 *
 * The returned function throws AppError `precondition_failed`, with a current tag in `ETag`.
 *
 * @see RFC 9110 section 13.1.1
 */
export function assertIfMatch(req: Request): AssertCurrent {
  const header = req.headers['if-match'];
  if (header === undefined || header.trim() === '*') return () => {};
  const tags: readonly string[] = header.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
  return (revision) => {
    const current = entityTag(revision);
    const isMatch = (tag: string) => tag === current || tag.startsWith(`"${revision}.`);
    if (!tags.some(isMatch)) throw new AppError('precondition_failed', { headers: { etag: current } });
  };
}
