import { assertIfMatch, idField, lineField, textField } from '@countersign/service-kit';
import { z } from 'zod';
import { priorityRank } from '../../domain/complaints/described.ts';
import { getComplaint } from '../../flows/complaints/get-complaint.ts';
import { checkFiling, editComplaint, fileComplaint } from '../../flows/complaints/write.ts';
import { createOnce } from '../../flows/create-once.ts';
import { asReader, asUser } from '../../store/schema.ts';
import { complaintPath, creationHeaders, ifMatch, route } from '../route.ts';
import {
  complaint,
  complaintJson,
  contactPreference,
  priority,
  readerOf,
  sendComplaint,
  tagOf,
} from './complaint-json.ts';

const address = lineField(300);
const point = { latitude: z.number().min(-90).max(90), longitude: z.number().min(-180).max(180) };
const location = z
  .union([
    z.strictObject({ ...point, address: address.nullish() }),
    z.strictObject({ latitude: z.null().optional(), longitude: z.null().optional(), address }),
  ])
  .transform(({ latitude = null, longitude = null, address: line = null }) => ({ latitude, longitude, address: line }))
  .describe('A point, an address, or both.');

const text = {
  title: lineField(200),
  description: textField(10_000),
  category: lineField(50).describe('A category id or name.'),
};

// Strict bodies refuse additional fields, such as `tenant_id` or `status`.
const newComplaint = z
  .strictObject({
    ...text,
    priority: priority.optional().describe('Only for agents and admins. Defaults to `normal`.'),
    location: location.optional(),
    contact_preference: contactPreference.default('email'),
    complainant_id: idField
      .optional()
      .describe('The member for whom you file the complaint. Only for agents and admins.'),
    reporter: z
      .strictObject({ name: lineField(200), email: z.email().max(254).optional(), phone: lineField(50).optional() })
      .optional()
      .describe('The person without an account for whom you file the complaint. Only for agents and admins.'),
  })
  .refine((body) => body.complainant_id === undefined || body.reporter === undefined, {
    path: ['reporter'],
    message: 'cannot be combined with complainant_id',
  })
  .meta({ examples: [{ title: 'Street light out', description: 'Dark since Monday.', category: 'Lighting' }] });

const complaintPatch = z
  .strictObject({
    ...z.object(text).partial().shape,
    priority: priority.optional().describe('Only for agents and admins.'),
    location: location.nullable().optional().describe('Null removes the location.'),
    contact_preference: contactPreference.optional(),
  })
  .meta({ examples: [{ location: { latitude: 48.2082, longitude: 16.3738, address: 'Mill Lane 3' } }] });

const shared = { tag: 'Complaints', callers: ['user'] } as const;
const tagged = { ETag: 'The entity tag, for `If-Match` and `If-None-Match`.' };

export const filingRoutes = [
  route('POST /v1/complaints', {
    ...shared,
    operationId: 'fileComplaint',
    summary: 'File a complaint for yourself or someone else',
    headers: creationHeaders,
    body: newComplaint,
    responses: { 201: { schema: complaint, headers: { Location: "The complaint's path.", ...tagged } } },
    errors: [
      'insufficient_role',
      'unknown_category',
      'unknown_complainant',
      'idempotency_key_reused',
      'too_many_changes',
      'people_unavailable',
    ],
  }).handle(async ({ res, identity, headers, body, reply }, parts) => {
    await checkFiling(parts, identity, body);
    const people = [identity.userId, ...(body.complainant_id === undefined ? [] : [body.complainant_id])];
    const names = await parts.people.namesOf(identity, people);
    const { json, etag } = await asUser(parts.db, identity, (trx) =>
      createOnce(trx, parts, identity, { key: headers['idempotency-key'], request: ['file', body] }, async () => {
        const filed = await fileComplaint(trx, parts, identity, body, names);
        const shown = complaintJson(filed, { caller: identity, now: parts.now(), names });
        return { complaintId: filed.id, answer: { json: shown, etag: tagOf(filed, shown) } };
      }),
    );
    res.location(`/v1/complaints/${json.id}`).set('etag', etag);
    reply(201, json);
  }),

  route('GET /v1/complaints/:id', {
    ...shared,
    operationId: 'readComplaint',
    summary: 'Read a complaint',
    description: 'OAuth clients need the scope `complaints.read`.',
    callers: ['user', 'client'],
    params: complaintPath,
    responses: { 200: { schema: complaint, headers: tagged }, 304: null },
    errors: ['insufficient_role', 'insufficient_scope', 'not_found'],
  }).handle(async (call, parts) => {
    const reader = readerOf(call.identity);
    const found = await asReader(parts.db, reader, (trx) => getComplaint(trx, call.params.id, 'read'));
    await sendComplaint(parts, { ...call, identity: reader }, found);
  }),

  route('PATCH /v1/complaints/:id', {
    ...shared,
    operationId: 'editComplaint',
    summary: 'Edit a complaint',
    params: complaintPath,
    headers: ifMatch,
    body: complaintPatch,
    responses: { 200: { schema: complaint, headers: tagged } },
    errors: ['insufficient_role', 'unknown_category', 'complaint_locked', 'precondition_failed', 'too_many_changes'],
  }).handle(async (call, parts) => {
    const { req, identity, params, body } = call;
    const { priority: name, location: place, ...wanted } = body;
    const edit = {
      ...wanted,
      ...(name !== undefined && { priority: priorityRank(name) }),
      ...(place === null ? { latitude: null, longitude: null, address: null } : place),
    };
    const changes = { id: params.id, wanted: edit, assertCurrent: assertIfMatch(req) };
    await sendComplaint(parts, call, await editComplaint(parts, identity, changes));
  }),
];
