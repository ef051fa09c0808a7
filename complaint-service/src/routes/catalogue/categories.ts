import { assertIfMatch, entityTag, jsonOf, lineField, textField } from '@countersign/service-kit';
import { z } from 'zod';
import { addCategory, editCategory } from '../../flows/catalogue/manage-categories.ts';
import { listCategories } from '../../store/catalogue/categories.ts';
import type { Category } from '../../store/schema/catalogue.ts';
import { asUser } from '../../store/scope.ts';
import { complaintPath, ifMatch, time, uuidField } from '../fields.ts';
import { route } from '../route.ts';

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

const category = z
  .object({
    id: z.uuid(),
    name: z.string(),
    description: z.string(),
    team_id: z.uuid().nullable(),
    first_answer_minutes: z.int().nullable(),
    resolution_minutes: z.int().nullable(),
    active: z.boolean(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Category' });

const example = {
  name: 'Lighting',
  description: 'Street lights',
  first_answer_minutes: 480,
  resolution_minutes: 7_200,
};
const tagged = { ETag: 'The entity tag, for `If-Match`.' };

export const categoryRoutes = [
  route({
    ...shared,
    method: 'get',
    path: '/v1/categories',
    operationId: 'listCategories',
    summary: 'List the categories by name',
    responses: { 200: z.object({ items: z.array(category) }) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, reply }, parts) => {
    const found = await asUser(parts.db, identity, listCategories);
    reply(200, { items: found.map(categoryJson) });
  }),

  route({
    ...shared,
    method: 'post',
    path: '/v1/categories',
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

  route({
    ...shared,
    method: 'patch',
    path: '/v1/categories/:id',
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
];

const categoryJson = (row: Category) => jsonOf(category, row);
