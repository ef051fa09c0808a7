import { entityTag, etagHeader, jsonOf, lineField, paginationFields, roleField } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { decodeCursor } from '../domain/cursor.ts';
import { foldName } from '../domain/profile.ts';
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

const isLocale = (value: string) => succeeds(() => Intl.getCanonicalLocales(value));
const isTimeZone = (value: string) => succeeds(() => new Intl.DateTimeFormat('en', { timeZone: value }));

const locale = z.string().max(35).refine(isLocale, 'must be a language tag such as en-GB (BCP 47)');
const timeZone = z.string().max(64).refine(isTimeZone, 'must be a time zone such as Europe/Vienna (IANA)');
const phone = z.string().regex(/^\+?[0-9][0-9 ()./-]{2,30}$/, 'must be a telephone number');

/** The body of PATCH /v1/users/me. Refuses other fields, such as `role` or `tenant_id`. */
export const profilePatch = z
  .strictObject({
    display_name: lineField(100).optional(),
    phone: phone.nullable().optional(),
    locale: locale.nullable().optional(),
    time_zone: timeZone.nullable().optional(),
  })
  .meta({ examples: [{ display_name: 'Agent Smith', locale: 'de-AT', phone: null }] });

/** The query of GET /v1/users. */
export const directoryQuery = z.strictObject({
  role: roleField.optional(),
  q: lineField(100)
    .transform(foldName)
    .optional()
    .describe('Part of a name or an email address. Case does not matter.'),
  ...paginationFields({ maxLength: 4_000, decode: decodeCursor }),
});

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
