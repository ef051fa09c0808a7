import type { Api } from '@countersign/service-kit';
import { errors } from '../errors.ts';
import { attachFileEndpoint, listAttachmentsEndpoint, removeAttachmentEndpoint } from './attachments/attachments.ts';
import { downloadAttachmentEndpoint } from './attachments/download.ts';
import { addCategoryEndpoint, editCategoryEndpoint, listCategoriesEndpoint } from './catalogue/categories.ts';
import { changeSettingsEndpoint, readSettingsEndpoint } from './catalogue/settings.ts';
import { addTeamEndpoint, editTeamEndpoint, listTeamsEndpoint } from './catalogue/teams.ts';
import { assignComplaintEndpoint, unassignComplaintEndpoint } from './complaints/assign.ts';
import { commentEndpoint, listCommentsEndpoint } from './complaints/comments.ts';
import { exportComplaintsEndpoint } from './complaints/export.ts';
import { editComplaintEndpoint, fileComplaintEndpoint, readComplaintEndpoint } from './complaints/filing.ts';
import { listHistoryEndpoint } from './complaints/history.ts';
import { listComplaintsEndpoint } from './complaints/list.ts';
import { readStatisticsEndpoint } from './complaints/statistics.ts';
import { moveComplaintEndpoint } from './complaints/transition.ts';
import { listWatchersEndpoint, unwatchEndpoint, watchEndpoint } from './complaints/watchers.ts';
import {
  cancelErasureEndpoint,
  erasePersonEndpoint,
  listErasuresEndpoint,
  previewErasureEndpoint,
} from './erasure/erasure.ts';
import { changeRetentionEndpoint, readRetentionEndpoint } from './erasure/retention.ts';
import { followEventsEndpoint } from './events/event-stream.ts';
import { updateMembershipEndpoint } from './members/memberships.ts';
import { listDeliveriesEndpoint, pingWebhookEndpoint, redeliverEndpoint } from './webhooks/deliveries.ts';
import {
  addWebhookEndpoint,
  editWebhookEndpoint,
  listWebhooksEndpoint,
  readWebhookEndpoint,
  removeWebhookEndpoint,
  rotateSecretEndpoint,
} from './webhooks/webhooks.ts';

/** The routes and the description of this service. A test fails when a route is missing. */
export const api: Api = {
  title: 'Countersign complaint-service',
  description:
    'Complaints, their workflow, comments and history. Clients call it through the gateway, which adds refusals of its own (docs/errors.md).',
  tags: [
    { name: 'Complaints', description: 'File, find, read and edit complaints.' },
    { name: 'Comments', description: 'Public comments and internal notes.' },
    { name: 'Attachments', description: 'Photos and documents of complaints and comments.' },
    { name: 'Events', description: 'What happens, as it happens.' },
    { name: 'Webhooks', description: 'Signed deliveries of events to other systems, for admins.' },
    { name: 'Work', description: 'Assignments and the workflow.' },
    { name: 'Statistics', description: 'Counts and times of the tenant.' },
    { name: 'Catalogue', description: 'Categories, teams and settings of the tenant.' },
    { name: 'Erasure', description: 'What is kept for how long, and people who are erased.' },
    { name: 'Internal', description: 'For other services, on no public route.' },
  ],
  errors,
  endpoints: [
    fileComplaintEndpoint,
    listComplaintsEndpoint,
    exportComplaintsEndpoint,
    followEventsEndpoint,
    readRetentionEndpoint,
    changeRetentionEndpoint,
    previewErasureEndpoint,
    erasePersonEndpoint,
    cancelErasureEndpoint,
    listErasuresEndpoint,
    addWebhookEndpoint,
    listWebhooksEndpoint,
    readWebhookEndpoint,
    editWebhookEndpoint,
    removeWebhookEndpoint,
    rotateSecretEndpoint,
    pingWebhookEndpoint,
    listDeliveriesEndpoint,
    redeliverEndpoint,
    readComplaintEndpoint,
    editComplaintEndpoint,
    moveComplaintEndpoint,
    assignComplaintEndpoint,
    unassignComplaintEndpoint,
    commentEndpoint,
    listCommentsEndpoint,
    listHistoryEndpoint,
    attachFileEndpoint,
    listAttachmentsEndpoint,
    downloadAttachmentEndpoint,
    removeAttachmentEndpoint,
    watchEndpoint,
    unwatchEndpoint,
    listWatchersEndpoint,
    readStatisticsEndpoint,
    listCategoriesEndpoint,
    addCategoryEndpoint,
    editCategoryEndpoint,
    listTeamsEndpoint,
    addTeamEndpoint,
    editTeamEndpoint,
    readSettingsEndpoint,
    changeSettingsEndpoint,
    updateMembershipEndpoint,
  ],
};
