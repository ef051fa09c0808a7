import type { Api } from '@countersign/service-kit';
import { errors } from '../errors.ts';
import { attachmentRoutes } from './attachments/attachments.ts';
import { downloadRoutes } from './attachments/download.ts';
import { categoryRoutes } from './catalogue/categories.ts';
import { settingsRoutes } from './catalogue/settings.ts';
import { teamRoutes } from './catalogue/teams.ts';
import { commentRoutes } from './complaints/comments.ts';
import { exportRoutes } from './complaints/export.ts';
import { filingRoutes } from './complaints/filing.ts';
import { historyRoutes } from './complaints/history.ts';
import { listRoutes } from './complaints/list.ts';
import { statisticsRoutes } from './complaints/statistics.ts';
import { watcherRoutes } from './complaints/watchers.ts';
import { assignRoutes, transitionRoutes } from './complaints/work.ts';
import { erasureRoutes } from './erasure/erasure.ts';
import { retentionRoutes } from './erasure/retention.ts';
import { eventRoutes } from './events/event-stream.ts';
import { membershipRoutes } from './members/memberships.ts';
import { deliveryRoutes } from './webhooks/deliveries.ts';
import { webhookRoutes } from './webhooks/webhooks.ts';

/**
 * All routes, in order: a path such as `/v1/complaints/export` must come before one in which `export` would be an id.
 */
export const routes = [
  ...listRoutes,
  ...exportRoutes,
  ...eventRoutes,
  ...statisticsRoutes,
  ...retentionRoutes,
  ...erasureRoutes,
  ...webhookRoutes,
  ...deliveryRoutes,
  ...filingRoutes,
  ...transitionRoutes,
  ...assignRoutes,
  ...commentRoutes,
  ...historyRoutes,
  ...attachmentRoutes,
  ...downloadRoutes,
  ...watcherRoutes,
  ...categoryRoutes,
  ...teamRoutes,
  ...settingsRoutes,
  ...membershipRoutes,
];

export const api: Api = {
  title: 'Countersign complaint-service',
  description:
    'Complaints, their workflow, comments and history. Clients call it through the gateway, which adds its own error codes (docs/errors.md).',
  tags: [
    { name: 'Complaints', description: 'File, find, read and edit complaints.' },
    { name: 'Comments', description: 'Public comments and internal notes.' },
    { name: 'Attachments', description: 'Photos and documents of complaints and comments.' },
    { name: 'Events', description: 'Events of complaints, as they happen.' },
    { name: 'Webhooks', description: 'Signed event deliveries to other systems, for admins.' },
    { name: 'Work', description: 'Assignments and the workflow.' },
    { name: 'Statistics', description: 'Counts and response times of the tenant.' },
    { name: 'Catalogue', description: 'Categories, teams and settings of the tenant.' },
    { name: 'Erasure', description: 'Retention of complaints, and erasure of people.' },
    { name: 'Internal', description: 'For other services only, not reachable from outside.' },
  ],
  errors,
  endpoints: routes.map(({ endpoint }) => endpoint),
};
