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

/** All routes. A path such as `/v1/complaints/export` must come before a path in which `export` would be an id. */
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
    'Manages complaints, their workflow, comments and history. All requests go through the gateway, which adds its own error codes (docs/errors.md).',
  tags: [
    { name: 'Complaints', description: 'File, find, read and edit complaints.' },
    { name: 'Comments', description: 'Public comments and internal notes.' },
    { name: 'Attachments', description: 'Photos and documents on complaints and comments.' },
    { name: 'Events', description: 'Complaint events in real time.' },
    { name: 'Webhooks', description: 'Signed event deliveries to other systems, for admins.' },
    { name: 'Work', description: 'Assignments and the workflow.' },
    { name: 'Statistics', description: 'Complaint counts and response times.' },
    { name: 'Catalogue', description: 'Categories, teams and settings.' },
    { name: 'Erasure', description: 'Complaint retention, and erasure of people.' },
    { name: 'Internal', description: 'Only for other services. Not available from outside.' },
  ],
  errors,
  endpoints: routes.map(({ endpoint }) => endpoint),
};
