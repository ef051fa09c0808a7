import { idField, lineField } from '@countersign/service-kit';
import { z } from 'zod';
import { priorityRank } from '../../domain/complaints/described.ts';
import { type Status, statuses } from '../../domain/complaints/workflow.ts';
import { isStoredTime } from '../../domain/search/list-order.ts';
import { queryTerms } from '../../domain/search/terms.ts';
import { uuidField } from '../fields.ts';
import { priority } from './complaint-json.ts';

const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .meta({ type: 'boolean', enum: undefined });
const instant = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((at) => isStoredTime(at.getTime()), 'must be a year from 1 to 9999');

const isStatus = (text: string): text is Status => (statuses as readonly string[]).includes(text);

const statusList = z
  .string()
  .max(200)
  .transform((text, context) => {
    const wanted = text.split(',');
    if (wanted.every(isStatus)) return wanted;
    context.addIssue({ code: 'custom', message: `must be one or more of ${statuses.join(', ')}` });
    return z.NEVER;
  })
  .describe(`One or more of ${statuses.join(', ')}, separated by commas.`);

/** Query parameters that select complaints, for the list and the export. */
export const filterFields = {
  status: statusList.optional(),
  mine: flag
    .optional()
    .describe('Complaints assigned to you, if you are an agent or admin. Otherwise your own complaints.'),
  unassigned: flag.optional().describe('Active complaints without an assignee.'),
  assignee: idField.optional(),
  category: lineField(50).optional().describe('A category id or name.'),
  team: uuidField.optional(),
  priority: priority.transform(priorityRank).optional(),
  overdue: flag.optional().describe('Complaints with a running clock that has passed its target.'),
  from: instant.optional().describe('Complaints filed at this time or later.'),
  before: instant.optional().describe('Complaints filed before this time.'),
  q: z
    .string()
    .min(1)
    .max(200)
    .transform(queryTerms)
    .optional()
    .describe('Words or word prefixes in the title and description.'),
};
