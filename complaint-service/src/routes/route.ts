import { paginationFields, routesWith, textField } from '@countersign/service-kit';
import { z } from 'zod';
import type { Code } from '../errors.ts';
import type { FlowParts } from '../flows/parts.ts';

export const route = routesWith<Code, FlowParts>();

export const reason = textField(2_000);
export const time = z.iso.datetime();

/** A UUID in a request, converted to lower case (RFC 9562 section 4). */
export const uuidField = z.uuid().toLowerCase();

/** The path of a complaint. An id that is not a UUID gets 404, because no complaint can have it. */
export const complaintPath = z.object({ id: uuidField });

/** The query for a list with ids as cursors. Numbers would reveal the activity of other tenants. */
export const paginationQuery = z.strictObject(
  paginationFields({ maxLength: 36, decode: (text) => uuidField.safeParse(text).data }),
);

/** Lets a request change only the version that was read. */
export const ifMatch = z.object({
  'if-match': z.string().optional().describe('Change the complaint only if it still has this entity tag.'),
});

export const listOfItems = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), next_cursor: z.string().nullable().describe('Null if there are no more items.') });

/**
 * A quoted string as in the draft, or the same text without quotes, which is common.
 *
 * @see draft-ietf-httpapi-idempotency-key-header section 2.1
 */
const key = z
  .string()
  .regex(
    /^(?:"[\x21\x23-\x5b\x5d-\x7e]{1,255}"|[\x21\x23-\x5b\x5d-\x7e]{1,255})$/,
    'must be 1 to 255 printable characters',
  )
  .transform((text) => text.replaceAll('"', ''));

export const creationHeaders = z.object({
  'idempotency-key': key
    .optional()
    .describe(
      'Makes the request safe to repeat: for 24 hours, the same key returns the first response. ' +
        'Use a random value for each new request.',
    ),
});
