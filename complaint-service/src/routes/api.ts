import type { Api } from '@countersign/service-kit';
import { errors } from '../errors.ts';
import { attachFileEndpoint, listAttachmentsEndpoint, removeAttachmentEndpoint } from './attachments/attachments.ts';
import { downloadAttachmentEndpoint } from './attachments/download.ts';
import { assignComplaintEndpoint, unassignComplaintEndpoint } from './complaints/assign.ts';
import { commentEndpoint, listCommentsEndpoint } from './complaints/comments.ts';
import { exportComplaintsEndpoint } from './complaints/export.ts';
import { editComplaintEndpoint, fileComplaintEndpoint, readComplaintEndpoint } from './complaints/filing.ts';
import { listHistoryEndpoint } from './complaints/history.ts';
import { listComplaintsEndpoint } from './complaints/list.ts';
import { moveComplaintEndpoint } from './complaints/transition.ts';
import { followEventsEndpoint } from './events/event-stream.ts';

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
    { name: 'Work', description: 'Assignments and the workflow.' },
  ],
  errors,
  endpoints: [
    fileComplaintEndpoint,
    listComplaintsEndpoint,
    exportComplaintsEndpoint,
    followEventsEndpoint,
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
  ],
};
