import type { Request } from 'express';
import { z } from 'zod';
import { AppError, type ErrorTable } from '../errors.ts';

/** The error of {@link assertIfMatch}. Spread it into the table of a service that calls it. */
export const preconditionErrors = {
  precondition_failed: {
    status: 412,
    fault: 'caller',
    title: 'The resource has changed since you read it. Read it again, then retry.',
  },
} as const satisfies ErrorTable;

/** The response header of {@link entityTag}, for the declaration of a route. */
export const etagHeader = {
  etag: 'The revision of the resource. Send it as `If-Match` to change only this one.',
} as const;

/** The request headers of routes with entity tags; spread them into `headers`. */
export const ifMatchField = {
  'if-match': z.string().optional().describe('Change only the revision with this `ETag`.'),
};
export const ifNoneMatchField = {
  'if-none-match': z.string().optional().describe('Answer 304 to an unchanged `ETag`.'),
};

/** A strong entity tag. A revision names exactly one state of a resource. */
export const entityTag = (revision: string): string => `"${revision}"`;

/**
 * Checks `If-Match` against a revision, so that a client changes only a state it has read. A tag may have more behind
 * the revision and a dot: what is shown can change without the resource. A request without `If-Match` passes. Weak tags
 * never match.
 *
 * @returns A function that throws AppError `precondition_failed`, with a current tag in `ETag`.
 * @see RFC 9110 sections 8.8.3.2 and 13.1.1
 */
export function assertIfMatch(req: Request): (revision: string) => void {
  const header = req.headers['if-match'];
  if (header === undefined || header.trim() === '*') return () => {};
  const tags: readonly string[] = header.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
  return (revision) => {
    const etag = entityTag(revision);
    if (tags.some((tag) => tag === etag || tag.startsWith(`"${revision}.`))) return;
    throw new AppError<keyof typeof preconditionErrors>('precondition_failed', { headers: { etag } });
  };
}
