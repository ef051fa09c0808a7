import type { Request } from 'express';
import { AppError } from '../errors.ts';

/** A strong tag: a revision names one state of one member, in every detail. */
export const entityTag = (revision: string): string => `"${revision}"`;

/**
 * Lets a change pass only onto the state its sender has seen, where `If-Match` names one. Weak tags never match.
 *
 * @throws AppError `precondition_failed`
 * @see RFC 9110 sections 8.8.3.2 and 13.1.1
 */
export function demandMatch(req: Request, revision: string): void {
  const header = req.headers['if-match'];
  if (header === undefined || header.trim() === '*') return;
  const tags: readonly string[] = header.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
  if (tags.includes(entityTag(revision))) return;
  throw new AppError('precondition_failed', { headers: { etag: entityTag(revision) } });
}
