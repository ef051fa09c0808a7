import { z } from 'zod';

/**
 * The draft's string in quotes, and the same text without them, which many clients send.
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

/** The request headers of an operation that creates something. */
export const creationHeaders = z.object({
  'idempotency-key': key
    .optional()
    .describe(
      'Makes the request safe to repeat: within 24 hours the same key gets the answer of the first request. ' +
        'Use a random value for each new request.',
    ),
});
