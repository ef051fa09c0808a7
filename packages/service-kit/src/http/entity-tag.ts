import { trimOws } from '@countersign/jwks';
import { AppError, type ErrorTable } from '@countersign/process-kit';
import type { Request } from 'express';
import { z } from 'zod';

/** The error for {@link assertIfMatch}. Spread it into the service's table. */
export const preconditionErrors = {
  precondition_failed: {
    status: 412,
    fault: 'caller',
    title: 'The resource has changed since you read it. Read it again, then retry.',
  },
} as const satisfies ErrorTable;

/** The response header for {@link entityTag}, for a route declaration. */
export const etagHeader = {
  etag: 'The revision of the resource. Send it as `If-Match` to change only this revision.',
} as const;

/** The request headers for routes with entity tags. Spread them into `headers`. */
export const ifMatchField = {
  'if-match': z.string().optional().describe('Make the change only if the resource still has this `ETag`.'),
};
export const ifNoneMatchField = {
  'if-none-match': z.string().optional().describe('Return 304 if the resource still has this `ETag`.'),
};

/** Returns a strong entity tag. A revision must name exactly one state of a resource. */
export const entityTag = (revision: string): string => `"${revision}"`;

/**
 * Checks `If-Match` against a revision, so that a caller changes only a state that they have read. A tag can have a dot
 * and more after the revision, because what is shown can change without the resource. Requests without `If-Match` pass.
 * Weak tags never match.
 *
 * @returns A function that throws AppError `precondition_failed`, with a current tag in `ETag`.
 * @see RFC 9110 sections 8.8.3.2 and 13.1.1
 */
export function assertIfMatch(req: Request): (revision: string) => void {
  const header = req.headers['if-match'];
  if (header === undefined || trimOws(header) === '*') return () => {};
  const tags: readonly string[] = header.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
  return (revision) => {
    const etag = entityTag(revision);
    if (tags.some((tag) => tag === etag || tag.startsWith(`"${revision}.`))) return;
    throw new AppError<keyof typeof preconditionErrors>('precondition_failed', { headers: { etag } });
  };
}
