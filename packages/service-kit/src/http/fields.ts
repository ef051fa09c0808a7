import { idPattern, rolePattern } from '@countersign/identity';
import { z } from 'zod';

/** An id of a user, tenant, service or session, as the identity contract allows it. */
export const idField = z.string().regex(idPattern, 'is not a valid id');

/** A role name, as the identity contract allows it. */
export const roleField = z.string().regex(rolePattern, 'must be a role name');

/**
 * A trimmed line of 1 to `max` UTF-16 units. It reaches logs and terminals, so it has no control characters, none that
 * disguise text, and at least one visible character.
 */
export const lineField = (max: number) =>
  textWithout(max, /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u, 'must be one line of text').regex(
    // Empty text is refused for its length.
    /^$|[^\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}]/u,
    'must have a visible character',
  );

/** Like {@link lineField}, but line breaks and tabs are allowed. */
export const textField = (max: number) => textWithout(max, /[^\P{Cc}\n\r\t]/u, 'must be text');

const textWithout = (max: number, refused: RegExp, message: string) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !refused.test(value), message);
