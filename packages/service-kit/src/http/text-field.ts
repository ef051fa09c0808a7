import { z } from 'zod';

/**
 * One line of text a person typed, trimmed, of 1 to `max` UTF-16 units. Control characters would end up in logs, mails and
 * terminals.
 */
export const lineField = (max: number) => textWithout(max, /\p{Cc}/u, 'must be one line of text');

/** As {@link lineField}, with line breaks and tabs. */
export const textField = (max: number) => textWithout(max, /[^\P{Cc}\n\r\t]/u, 'must be text');

const textWithout = (max: number, refused: RegExp, message: string) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !refused.test(value), message);
