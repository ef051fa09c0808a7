import { z } from 'zod';
import { decodeCursor } from '../domain/cursor.ts';
import { queryTerms } from '../domain/terms.ts';
import { statuses } from '../store/schema.ts';

// Control characters would end up in logs, mails and terminals; a text may have line breaks and tabs.
const line = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !/\p{Cc}/u.test(value), 'must be one line of text');
const text = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !/[^\P{Cc}\n\r\t]/u.test(value), 'must be text');

const title = line(200);
const description = text(10_000);
const category = line(50);

// Bodies are strict: one that names `tenant_id` or `status` is refused, not cleaned.
export const newComplaint = z.strictObject({ title, description, category });
export const complaintPatch = newComplaint.partial();
export const transition = z.strictObject({ to: z.enum(statuses), reason: line(500).optional() });
export const assignment = z.strictObject({
  assignee_id: z.string().regex(/^[A-Za-z0-9._~:@|-]{1,128}$/, 'must be the id of a user'),
});
export const newComment = z.strictObject({ body: text(5_000), internal: z.boolean().default(false) });

/** Any list. Parameters it does not know are ignored, as everywhere in HTTP; a repeated one is refused. */
export const pageQuery = z.object({
  cursor: z
    .string()
    .max(200)
    .transform((value, context) => {
      const position = decodeCursor(value);
      if (position !== undefined) return position;
      context.addIssue({ code: 'custom', message: 'is not a cursor of this list' });
      return z.NEVER;
    })
    .optional(),
  limit: z
    .string()
    .regex(/^[0-9]{1,3}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(1).max(100))
    .default(20),
});

export const complaintsQuery = pageQuery.extend({
  status: z.enum(statuses).optional(),
  q: z.string().min(1).max(200).transform(queryTerms).optional(),
});

/** An id in a path. What is no UUID names nothing, and Postgres would call it an error. */
export function isComplaintId(id: string): boolean {
  return z.uuid().safeParse(id).success;
}
