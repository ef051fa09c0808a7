import { entityTag } from '@countersign/service-kit';
import type { Response } from 'express';
import type { Comment, Complaint, HistoryEntry } from '../store/schema.ts';

/** Returns the JSON form of a complaint. It is the same for every caller. */
export function complaintJson(complaint: Complaint) {
  return {
    id: complaint.id,
    tenant_id: complaint.tenant_id,
    title: complaint.title,
    description: complaint.description,
    category: complaint.category,
    status: complaint.status,
    complainant_id: complaint.complainant_id,
    assignee_id: complaint.assignee_id,
    created_at: complaint.created_at.toISOString(),
    updated_at: complaint.updated_at.toISOString(),
  };
}

export function sendComplaint(res: Response, complaint: Complaint): void {
  res.set('etag', entityTag(complaint.revision)).json(complaintJson(complaint));
}

export function commentJson(comment: Comment) {
  return {
    id: comment.id,
    complaint_id: comment.complaint_id,
    author_id: comment.author_id,
    author_role: comment.author_role,
    body: comment.body,
    internal: comment.internal,
    created_at: comment.created_at.toISOString(),
  };
}

export function historyJson(entry: HistoryEntry) {
  return {
    id: entry.id,
    complaint_id: entry.complaint_id,
    actor_id: entry.actor_id,
    actor_role: entry.actor_role,
    action: entry.action,
    ...entry.detail,
    created_at: entry.created_at.toISOString(),
  };
}
