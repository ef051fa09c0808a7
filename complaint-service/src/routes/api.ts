import { docsPage } from '@countersign/process-kit';
import type { Api } from '@countersign/service-kit';
import { errors } from '../errors.ts';
import { attachmentRoutes } from './attachments.ts';
import { catalogueRoutes } from './catalogue.ts';
import { commentRoutes } from './complaints/comments-and-history.ts';
import { filingRoutes } from './complaints/filing.ts';
import { queryRoutes } from './complaints/queries.ts';
import { workRoutes } from './complaints/work.ts';
import { erasureRoutes } from './erasure.ts';
import { eventRoutes } from './events/event-stream.ts';
import { mailRoutes } from './mail.ts';
import { membershipRoutes } from './memberships.ts';
import { webhookRoutes } from './webhooks.ts';

/** All routes. A path such as `/v1/complaints/export` must come before a path in which `export` would be an id. */
export const routes = [
  ...queryRoutes,
  ...eventRoutes,
  ...erasureRoutes,
  ...webhookRoutes,
  ...filingRoutes,
  ...workRoutes,
  ...commentRoutes,
  ...attachmentRoutes,
  ...catalogueRoutes,
  ...mailRoutes,
  ...membershipRoutes,
];

export const api: Api = {
  title: 'Countersign complaint-service',
  description: `Manages complaints, their workflow, comments and history. All requests go through the gateway, which adds [its own error codes](${docsPage('errors.md')}).`,
  tags: [
    { name: 'Complaints', description: 'File, find, read and edit complaints.' },
    { name: 'Comments', description: 'Public comments and internal notes.' },
    { name: 'Attachments', description: 'Photos and documents on complaints and comments.' },
    { name: 'Events', description: 'Complaint events in real time.' },
    { name: 'Webhooks', description: 'Signed event deliveries to other systems, for admins.' },
    { name: 'Work', description: 'Assignments and the workflow.' },
    { name: 'Statistics', description: 'Complaint counts and response times.' },
    { name: 'Catalogue', description: 'Categories, teams and settings.' },
    { name: 'Mail', description: 'Emails about complaints.' },
    { name: 'Erasure', description: 'Complaint retention, and erasure of people.' },
    { name: 'Internal', description: 'Only for other services. Not available from outside.' },
  ],
  errors,
  endpoints: routes.map(({ endpoint }) => endpoint),
};
