import { readFileSync } from 'node:fs';
import type { WebhookFormat } from '@countersign/signals';
import { parse } from 'yaml';
import { z } from 'zod';
import { trust } from '../values/key-class.ts';
import { headerName, parsedText, secretKeys, text, unique } from '../values/scalars.ts';
import { oneShape } from '../values/shapes.ts';

const pointerText = /^(?:\/(?:[^~/]|~[01])*){1,16}$/;
const pointer = parsedText(
  'JSON pointer',
  'a JSON pointer (RFC 6901), such as /data/id',
  (given) => (pointerText.test(given) ? given : undefined),
  pointerText,
);

const conditions = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
  .refine((members) => Object.keys(members).every((key) => pointerText.test(key)), {
    error: 'must be a map from JSON pointers, such as /data/banned, to values',
  });

const verify = z
  .strictObject({
    kind: z
      .enum(['standard', 'hmac', 'bearer'])
      .describe('`standard` is Standard Webhooks and svix. `hmac` is an HMAC-SHA256 in a header.'),
    header: headerName
      .transform((name) => name.toLowerCase())
      .optional()
      .describe('With `hmac`: the header.'),
    encoding: z.enum(['hex', 'base64']).default('hex').describe('With `hmac`: how the header is encoded.'),
    prefix: z.string().default('').describe('With `hmac` and no time: what stands before the HMAC, such as `sha256=`.'),
    time: z
      .enum(['none', 'seconds', 'milliseconds'])
      .default('none')
      .describe('With `hmac`: the unit of the time in a header `t=TIME,v1=HMAC`, whose HMAC is of `TIME.BODY`.'),
  })
  .transform(({ kind, header = '', ...hmac }) => (kind === 'hmac' ? { kind, header, ...hmac } : { kind }))
  .describe('How a webhook is authenticated.');

const end = z.strictObject({
  type: unique(text).min(1).max(64).describe('The types of events that end something.'),
  when: conditions.optional().describe('The values that members of the event must have, by JSON pointer.'),
  session: pointer.optional().describe('The id of the ended session.'),
  user: pointer.optional().describe('The id of the user, whose tokens end if the event or the tokens name no session.'),
  tenant: pointer.optional().describe("The id of a tenant: only the user's tokens in it end."),
  at: pointer.optional().describe('When it happened. An event without it ends nothing. Default: the signed time.'),
});

const formatObject = z
  .strictObject({
    verify,
    type: pointer.describe('The type of the event.'),
    each: pointer.optional().describe('A list of events, at most 200. `type` and `ends` then begin at one of them.'),
    id: pointer.optional().describe('The id of the delivery. Default: the signed one, or a digest of the body.'),
    unit: z.enum(['seconds', 'milliseconds']).default('seconds').describe('The unit of times that are numbers.'),
    challenge: headerName
      .transform((name) => name.toLowerCase())
      .optional()
      .describe('A header of a GET request whose value is sent back as `verification`. Requires `bearer`.'),
    ends: z.array(end).min(1).max(64).describe('Which events end something. The other events are ignored.'),
  })
  .transform((format): WebhookFormat => format);

/** See webhooks.yaml. */
const presets: Readonly<Record<string, WebhookFormat>> = z
  .record(z.string(), formatObject)
  .parse(parse(readFileSync(new URL('../../webhooks.yaml', import.meta.url), 'utf8')));

const format = oneShape('preset or map', 'the name of a preset, or a map', [
  z.enum(Object.keys(presets)),
  formatObject,
]).transform((given) =>
  typeof given === 'string' ? { name: given, ...(presets[given] as WebhookFormat) } : { name: 'own', ...given },
);

export const webhook = z
  .strictObject({
    format: format.meta(trust(`One of ${Object.keys(presets).join(', ')}, or a format of your own.`)),
    where: conditions
      .default({})
      .meta(trust('Members that tell your project from others that have the same secret, by JSON pointer.')),
    ...secretKeys('secret', "The webhook's secret, at least 24 bytes, from a variable."),
    ...secretKeys('previousSecret', 'A second accepted secret, for use while you replace the first.'),
  })
  .describe("Receives the provider's webhooks.");
