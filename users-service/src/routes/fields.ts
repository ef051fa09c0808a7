import { lineField, paginationFields, roleField } from '@countersign/service-kit';
import { z } from 'zod';
import { decodeCursor } from '../domain/cursor.ts';
import { foldName } from '../domain/profile.ts';

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
