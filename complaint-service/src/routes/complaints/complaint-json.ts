import { createHash } from 'node:crypto';
import type { ClientIdentity, UserIdentity } from '@countersign/identity';
import { entityTag, jsonOf, namedObject, readerTenantOf } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { type Reader, readScope, seesTenant } from '../../domain/access.ts';
import { contactPreferences, described, priorities } from '../../domain/complaints/described.ts';
import { overdueMarks } from '../../domain/complaints/service-level.ts';
import { allowedTo, statuses } from '../../domain/complaints/workflow.ts';
import type { Names } from '../../domain/people.ts';
import type { FlowParts } from '../../flows/parts.ts';
import type { Complaint } from '../../store/tables.ts';
import { time } from '../route.ts';

export const status = z.enum(statuses).meta({ id: 'ComplaintStatus' });
export const priority = z.enum(priorities).meta({ id: 'Priority' });
export const contactPreference = z.enum(contactPreferences).meta({ id: 'ContactPreference' });
/** A person's name from the users-service. */
export const displayName = z
  .string()
  .nullable()
  .optional()
  .describe('Null if the person has no name. Absent while names are unavailable.');

const location = z.object({
  latitude: z.number().nullable(),
  longitude: z.number().nullable(),
  address: z.string().nullable(),
});

const serviceLevel = z.object({
  first_answer_due_at: time.nullable(),
  first_answered_at: time.nullable(),
  first_answer_overdue: z.boolean().describe('Whether the target was missed.'),
  resolution_due_at: time.nullable(),
  resolved_at: time.nullable(),
  resolution_overdue: z.boolean().describe('Whether the target was missed.'),
});

const allowed = z.object({
  transitions: z
    .array(z.object({ to: status, reason_required: z.boolean() }))
    .describe('The statuses to which you can move the complaint.'),
  edit: z.boolean(),
  assign: z.boolean().describe('Whether you can assign the complaint, or return it to the queue.'),
});

export const complaint = namedObject('Complaint', {
  id: z.uuid(),
  number: z.string().describe('Such as `ACME-2026-0142`: the short name of the tenant, the year and a count.'),
  tenant_id: z.string(),
  title: z.string(),
  description: z.string(),
  category: z.string().describe('The category name.'),
  category_id: z.uuid(),
  team_id: z.uuid().nullable(),
  status,
  priority,
  location: location.nullable(),
  contact_preference: contactPreference,
  complainant_id: z
    .string()
    .nullable()
    .describe('Null if an agent filed the complaint for a person without an account.'),
  complainant_name: displayName,
  reporter: z
    .object({ name: z.string(), email: z.string().nullable(), phone: z.string().nullable() })
    .nullable()
    .describe('The person without an account for whom an agent filed the complaint. Always null for OAuth clients.'),
  created_by: z.string(),
  created_by_name: displayName,
  assignee_id: z.string().nullable(),
  assignee_name: displayName,
  duplicate_of: z.uuid().nullable().describe('For agents and admins; null for complainants.'),
  overdue: z.boolean().describe('Whether a running clock has passed its target.'),
  service_level: serviceLevel,
  allowed: allowed.describe('What you can do now. OAuth clients can do nothing.'),
  created_at: time,
  updated_at: time,
});

type ComplaintJson = z.infer<typeof complaint>;

/** What else appears in a complaint's JSON, besides its row. */
export type View = Readonly<{ caller: Reader; now: Date; names: Names }>;

type NameParts = Pick<FlowParts, 'people' | 'now'>;

/** @throws AppError `insufficient_scope` if an OAuth client, or an agent that acts for a user, lacks the scope. */
export const readerOf = (identity: UserIdentity | ClientIdentity): Reader => ({
  ...identity,
  tenantId: readerTenantOf(identity, readScope),
});

/** Looks up all names with one request. OAuth clients get none here: they need the scope of the directory. */
async function viewOf({ people, now }: NameParts, caller: Reader, complaints: readonly Complaint[]): Promise<View> {
  const shown = complaints.flatMap((row) => [row.complainant_id, row.created_by, row.assignee_id]);
  const ids = shown.filter((id) => id !== null);
  const names = caller.kind === 'client' ? new Map(ids.map((id) => [id, null])) : await people.namesOf(caller, ids);
  return { caller, now: now(), names };
}

export async function complaintsJson(
  parts: NameParts,
  caller: Reader,
  complaints: readonly Complaint[],
): Promise<ComplaintJson[]> {
  const view = await viewOf(parts, caller, complaints);
  return complaints.map((each) => complaintJson(each, view));
}

export function complaintJson(row: Complaint, { caller, now, names }: View): ComplaintJson {
  const nameOf = (id: string | null) => (id === null ? null : names.get(id));
  return jsonOf(complaint, {
    ...row,
    ...described(row),
    complainant_name: nameOf(row.complainant_id),
    // The scope for complaints does not include names.
    reporter:
      row.reporter_name === null || caller.kind === 'client'
        ? null
        : { name: row.reporter_name, email: row.reporter_email, phone: row.reporter_phone },
    created_by_name: nameOf(row.created_by),
    assignee_name: nameOf(row.assignee_id),
    // Complainants cannot see the other complaint. Its id would reveal when it was filed.
    duplicate_of: seesTenant(caller) ? row.duplicate_of : null,
    overdue: row.due_at !== null && row.due_at < now,
    allowed: caller.kind === 'user' ? allowedTo(caller, row) : { transitions: [], edit: false, assign: false },
    service_level: jsonOf(serviceLevel, { ...row, ...overdueMarks(row, now) }),
  });
}

/**
 * Returns a representation's entity tag: the complaint's revision, and a hash of everything shown, because names and
 * overdue marks can change without the complaint.
 */
export function tagOf(row: Complaint, json: ComplaintJson): string {
  const hash = createHash('sha256').update(JSON.stringify(json)).digest('hex').slice(0, 16);
  return entityTag(`${row.revision}.${hash}`);
}

type Answering = Readonly<{
  identity: Reader;
  res: Response;
  reply: (status: 200, body: ComplaintJson) => void;
}>;

export async function sendComplaint(parts: NameParts, { identity, res, reply }: Answering, row: Complaint) {
  const json = complaintJson(row, await viewOf(parts, identity, [row]));
  res.set('etag', tagOf(row, json));
  reply(200, json);
}
