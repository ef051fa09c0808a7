import { z } from 'zod';

/** Reads the keys that a map may have from the message of `unrecognized_keys`. */
export const allowedKeys = (message: string): readonly string[] => message.split(', ');

/** Turns zod's issues into sentences that name the allowed values, and never repeat a value: it could be a secret. */
export const plainMessages: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${kindOf(issue.expected, issue.input)}`;
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}${issue.values.some((value) => String(value) === issue.input) ? ', without quotes' : ''}`;
    case 'invalid_union':
      return 'options' in issue ? `must be ${oneOf(issue.options as readonly unknown[])}` : undefined;
    case 'too_small':
      return `must ${issue.origin === 'array' ? 'have' : 'be'} at least ${amount(issue.minimum, issue.origin)}`;
    case 'too_big':
      return `must ${issue.origin === 'array' ? 'have' : 'be'} at most ${amount(issue.maximum, issue.origin)}`;
    case 'unrecognized_keys':
      return issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape).join(', ') : undefined;
  }
  return undefined;
};

const inDigits = ', in digits: values in quotes and values of variables are text';
/** Each kind of value, and advice for when the file has text instead. */
const kinds: Readonly<Record<string, readonly [kind: string, ofText?: string]>> = {
  object: ['a map of keys and values'],
  record: ['a map of keys and values'],
  array: ['a list'],
  boolean: ['true or false', ': values in quotes, values of variables, and yes, no, on and off are text'],
  number: ['a number', inDigits],
  'whole number': ['a whole number', inDigits],
};

export function kindOf(expected: string, value: unknown): string {
  const [kind, ofText = ''] = kinds[expected] ?? [`a ${expected}`];
  return typeof value === 'string' ? kind + ofText : kind;
}

function oneOf(values: readonly unknown[]): string {
  const quoted = values.map((value) => (typeof value === 'string' ? `"${value}"` : String(value)));
  return quoted.length === 1 ? String(quoted[0]) : `one of ${quoted.join(', ')}`;
}

function amount(count: number | bigint, origin: string): string {
  if (origin !== 'array') return String(count);
  return count === 1 ? '1 item' : `${count} items`;
}
