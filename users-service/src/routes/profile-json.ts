import { entityTag, etagHeader, jsonOf } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import type { Member } from '../store/schema.ts';

export const profile = z
  .object({
    id: z.string(),
    tenant_id: z.string(),
    email: z.string().nullable(),
    role: z.string(),
    status: z.enum(['active', 'inactive']),
    display_name: z.string().nullable(),
    phone: z.string().nullable(),
    locale: z.string().nullable().describe('A language tag (BCP 47).'),
    time_zone: z.string().nullable().describe('The time zone name (IANA).'),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({
    id: 'Profile',
    description: 'A person in one tenant.',
    examples: [
      {
        id: '0197c2a0-0000-7000-8000-0000000000a2',
        tenant_id: '0197c2a0-0000-7000-8000-00000000000a',
        email: 'agent@acme.test',
        role: 'agent',
        status: 'active',
        display_name: 'Agent Smith',
        phone: '+43 1 58858',
        locale: 'de-AT',
        time_zone: 'Europe/Vienna',
        created_at: '2026-01-07T09:30:00.000Z',
        updated_at: '2026-01-07T09:30:00.000Z',
      },
    ],
  });

export const profileJson = (member: Member) => jsonOf(profile, { ...member, id: member.user_id });

/** The response of {@link sendProfile}. */
export const profileResponse = { schema: profile, headers: etagHeader } as const;

export function sendProfile(res: Response, member: Member): void {
  res.set('etag', entityTag(member.revision)).json(profileJson(member));
}
