import { save } from '@countersign/database';
import { assertIfMatch, entityTag, idField, jsonOf, lineField, namedObject, textField } from '@countersign/service-kit';
import { z } from 'zod';
import { staffRoles } from '../domain/access.ts';
import type { Names } from '../domain/people.ts';
import { addCategory, addTeam, editCategory, editTeam } from '../flows/catalogue.ts';
import { hasOpenCatalogue, listCategories, listTeams, type TeamWithMembers } from '../store/catalogue.ts';
import { asUser } from '../store/schema.ts';
import type { Category } from '../store/tables.ts';
import { displayName } from './complaints/complaint-json.ts';
import { complaintPath, ifMatch, route, time, uuidField } from './route.ts';

const shared = { tag: 'Catalogue', callers: ['user'] } as const;
const tenYearsInMinutes = 10 * 366 * 24 * 60;
const minutes = z.int().min(1).max(tenYearsInMinutes).nullable();

const wantedCategory = z.strictObject({
  name: lineField(50),
  description: z.union([z.literal(''), textField(1_000)]).optional(),
  team_id: uuidField.nullable().optional().describe('The team that gets new complaints in this category.'),
  first_answer_minutes: minutes.optional().describe('Target for the first answer, in minutes. Null for no target.'),
  resolution_minutes: minutes.optional().describe('Target for the resolution, in minutes. Null for no target.'),
  active: z.boolean().optional().describe('New complaints can use only active categories.'),
});

const category = namedObject('Category', {
  id: z.uuid(),
  name: z.string(),
  description: z.string(),
  team_id: z.uuid().nullable(),
  first_answer_minutes: z.int().nullable(),
  resolution_minutes: z.int().nullable(),
  active: z.boolean(),
  created_at: time,
  updated_at: time,
});

const targets = { first_answer_minutes: 480, resolution_minutes: 7_200 };
const example = { name: 'Lighting', description: 'Street lights', ...targets };
const tagged = { ETag: 'The entity tag, for `If-Match`.' };

const categoryJson = (row: Category) => jsonOf(category, row);

const wantedTeam = z.strictObject({
  name: lineField(50),
  members: z.array(idField).max(50).optional().describe('The ids of agents. They replace all current members.'),
});

const team = namedObject('Team', {
  id: z.uuid(),
  name: z.string(),
  members: z.array(z.object({ user_id: z.string(), name: displayName })),
});

const teamJson = ({ id, name, members }: TeamWithMembers, names: Names) => ({
  id,
  name,
  members: members.map((userId) => ({ user_id: userId, name: names.get(userId) })),
});

const openCatalogue = z
  .boolean()
  .describe('Whether agents and admins can add a category by using a new name in a complaint. The default is false.');

const settings = z.object({ open_catalogue: openCatalogue }).meta({ id: 'ComplaintSettings' });

export const catalogueRoutes = [
  route('GET /v1/categories', {
    ...shared,
    operationId: 'listCategories',
    summary: 'List the categories by name',
    responses: { 200: z.object({ items: z.array(category) }) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, reply }, parts) => {
    const found = await asUser(parts.db, identity, listCategories);
    reply(200, { items: found.map(categoryJson) });
  }),

  route('POST /v1/categories', {
    ...shared,
    operationId: 'addCategory',
    summary: 'Add a category',
    roles: ['admin'],
    body: wantedCategory.meta({ examples: [example] }),
    responses: { 201: { schema: category, headers: tagged } },
    errors: ['name_taken', 'unknown_team'],
  }).handle(async ({ res, identity, body, reply }, parts) => {
    const added = await addCategory(parts, identity, body);
    res.set('etag', entityTag(added.revision));
    reply(201, categoryJson(added));
  }),

  route('PATCH /v1/categories/:id', {
    ...shared,
    operationId: 'editCategory',
    summary: 'Change or deactivate a category',
    description: 'New targets apply only to new complaints.',
    roles: ['admin'],
    params: complaintPath,
    headers: ifMatch,
    body: wantedCategory.partial().meta({ examples: [{ active: false }] }),
    responses: { 200: { schema: category, headers: tagged } },
    errors: ['name_taken', 'unknown_team', 'precondition_failed'],
  }).handle(async ({ req, res, identity, params, body, reply }, parts) => {
    const edited = await editCategory(parts, identity, {
      id: params.id,
      wanted: body,
      assertCurrent: assertIfMatch(req),
    });
    res.set('etag', entityTag(edited.revision));
    reply(200, categoryJson(edited));
  }),
  route('GET /v1/teams', {
    ...shared,
    operationId: 'listTeams',
    summary: 'List the teams by name',
    roles: staffRoles,
    responses: { 200: z.object({ items: z.array(team) }) },
  }).handle(async ({ identity, reply }, parts) => {
    const found = await asUser(parts.db, identity, listTeams);
    const userIds = found.flatMap(({ members }) => members);
    const names = await parts.people.namesOf(identity, userIds);
    reply(200, { items: found.map((row) => teamJson(row, names)) });
  }),

  route('POST /v1/teams', {
    ...shared,
    operationId: 'addTeam',
    summary: 'Add a team of agents',
    roles: ['admin'],
    body: wantedTeam.meta({ examples: [{ name: 'Road works', members: ['01936f00-0000-7000-8000-000000000012'] }] }),
    responses: { 201: team },
    errors: ['name_taken', 'unknown_assignee', 'people_unavailable'],
  }).handle(async ({ identity, body, reply }, parts) => {
    const added = await addTeam(parts, identity, body);
    reply(201, teamJson(added, await parts.people.namesOf(identity, added.members)));
  }),

  route('PATCH /v1/teams/:id', {
    ...shared,
    operationId: 'editTeam',
    summary: 'Rename a team, or replace its members',
    roles: ['admin'],
    params: complaintPath,
    body: wantedTeam.partial().meta({ examples: [{ members: ['01936f00-0000-7000-8000-000000000012'] }] }),
    responses: { 200: team },
    errors: ['name_taken', 'unknown_assignee', 'people_unavailable'],
  }).handle(async ({ identity, params, body, reply }, parts) => {
    const edited = await editTeam(parts, identity, { id: params.id, ...body });
    reply(200, teamJson(edited, await parts.people.namesOf(identity, edited.members)));
  }),
  route('GET /v1/complaint-settings', {
    ...shared,
    operationId: 'readComplaintSettings',
    summary: "Read the tenant's settings",
    roles: staffRoles,
    responses: { 200: settings },
  }).handle(async ({ identity, reply }, { db }) => {
    reply(200, { open_catalogue: await asUser(db, identity, hasOpenCatalogue) });
  }),

  route('PATCH /v1/complaint-settings', {
    ...shared,
    operationId: 'changeComplaintSettings',
    summary: "Change the tenant's settings",
    roles: ['admin'],
    body: z.strictObject({ open_catalogue: openCatalogue }),
    responses: { 200: settings },
  }).handle(async ({ identity, body, reply }, { db, newId, now }) => {
    const saved = { tenant_id: identity.tenantId, ...body, revision: newId(), updated_at: now() };
    await asUser(db, identity, (trx) => save(trx, 'settings', 'tenant_id', saved));
    reply(200, body);
  }),
];
