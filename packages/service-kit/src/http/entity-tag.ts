import type { Request } from 'express';
import { AppError, type ErrorTable } from '../errors.ts';

/** What {@link assertIfMatch} refuses with. Spread it into the table of a service that calls it. */
export const preconditionErrors = {
  precondition_failed: { status: 412, fault: 'caller', title: 'It has changed since you read it. Read it again.' },
} as const satisfies ErrorTable;

/** A strong tag: a revision names one state of one thing, in every detail. */
export const entityTag = (revision: string): string => `"${revision}"`;

/**
 * Lets a change pass only onto the state its sender has seen, where `If-Match` names one. Weak tags never match.
 *
 * @throws AppError `precondition_failed`
 * @see RFC 9110 sections 8.8.3.2 and 13.1.1
 */
export function assertIfMatch(req: Request, revision: string): void {
  const header = req.headers['if-match'];
  if (header === undefined || header.trim() === '*') return;
  const tags: readonly string[] = header.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
  if (tags.includes(entityTag(revision))) return;
  throw new AppError<keyof typeof preconditionErrors>('precondition_failed', {
    headers: { etag: entityTag(revision) },
  });
}
