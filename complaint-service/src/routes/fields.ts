import { lineField, pageFields, textField } from '@countersign/service-kit';
import { z } from 'zod';
import { decodeCursor } from '../domain/cursor.ts';
import { queryTerms } from '../domain/terms.ts';
import { statuses } from '../domain/workflow.ts';

const title = lineField(200);
const description = textField(10_000);
const category = lineField(50);

// Bodies are strict: one with other fields, such as `tenant_id` or `status`, is refused.
export const newComplaint = z.strictObject({ title, description, category });
export const complaintPatch = newComplaint.partial();
export const transition = z.strictObject({ to: z.enum(statuses), reason: lineField(500).optional() });
export const assignment = z.strictObject({
  assignee_id: z.string().regex(/^[A-Za-z0-9._~:@|-]{1,128}$/, 'must be the id of a user'),
});
export const newComment = z.strictObject({ body: textField(5_000), internal: z.boolean().default(false) });

/** The query of every list. Unknown parameters are ignored; repeated ones are refused. */
export const pageQuery = z.object(pageFields({ maxLength: 200, decode: decodeCursor }));

export const complaintsQuery = pageQuery.extend({
  status: z.enum(statuses).optional(),
  q: z.string().min(1).max(200).transform(queryTerms).optional(),
});

/** Whether an id in a path is a UUID. Postgres would report other ids as errors. */
export function isComplaintId(id: string): boolean {
  return z.uuid().safeParse(id).success;
}
