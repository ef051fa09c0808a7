import { entityTag } from '@countersign/service-kit';
import type { Response } from 'express';
import type { Member } from '../store/schema.ts';

/** Returns the JSON form of a member, for the directory and for single profiles. */
export function profileJson(member: Member) {
  return {
    id: member.user_id,
    tenant_id: member.tenant_id,
    email: member.email,
    role: member.role,
    status: member.status,
    display_name: member.display_name,
    phone: member.phone,
    locale: member.locale,
    time_zone: member.time_zone,
    created_at: member.created_at.toISOString(),
    updated_at: member.updated_at.toISOString(),
  };
}

export function sendProfile(res: Response, member: Member): void {
  res.set('etag', entityTag(member.revision)).json(profileJson(member));
}
