import { z } from 'zod';
import type { Immutable } from '../config/schema/values/shapes.ts';
import { type Code, errorTable } from '../errors.ts';

/** `WebSocket` is a GET that asks for an upgrade. */
export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'WebSocket'] as const;

const text = z.string();

const effect = z
  .enum(['wider', 'narrower', 'changed', 'unknown'])
  .describe('`unknown` could not be compared, and counts as wider.');

const decision = z.strictObject({
  route: text.nullable().describe('The route, if the request reached one.'),
  code: z
    .enum(Object.keys(errorTable) as [Code, ...Code[]])
    .nullable()
    .describe('The code of the refusal. Null if the request is allowed.'),
  caller: text.nullable().describe('The kind of caller, if the request is allowed.'),
});

const condition = z.strictObject({
  side: z.enum(['before', 'after', 'both']).describe('Whose mapping of claims counts.'),
  reads: text.describe('What a rule reads. `token` is the whole token.'),
  is: z
    .enum(['any', 'none', 'all', 'not all', 'present', 'absent', 'absent or any', 'refused', 'not refused'])
    .describe('`refused`: with the first value as code, because of one of the claims that follow.'),
  values: z.array(z.union([text, z.number(), z.boolean()])),
});

const witness = z
  .strictObject({
    method: text,
    path: text,
    headers: z.array(text).optional(),
    payload: text.optional(),
    service: text.optional(),
  })
  .describe('A request that `countersign explain` takes.');

const access = z
  .strictObject({
    effect,
    listener: z.enum(['public', 'internal']),
    paths: z
      .array(z.strictObject({ path: text, not: z.array(text) }))
      .describe('`*` is one segment, `**` any number. Paths that begin with one of `not` are not among them.'),
    methods: z.array(z.enum([...methods, 'preflight'])).describe('`WebSocket` is an upgrade, `preflight` is of CORS.'),
    caller: z.strictObject({
      kind: z.enum(['anonymous', 'token', 'service', 'page']),
      token: z
        .enum(['user', 'client', 'untrusted'])
        .optional()
        .describe('Whose token it is, or for whom a service acts. No file has the issuer of an `untrusted` one.'),
      issuer: text
        .optional()
        .describe('A template, such as `https://idp.example/{tenant}`, means all but those in `not`.'),
      not: z.array(text).optional(),
      services: z.array(text).optional(),
      origins: z.array(text).optional(),
    }),
    conditions: z.array(condition).describe('What is true of exactly the callers in this class.'),
    such: z.array(text).describe('Values of claims that meet the conditions.'),
    before: decision.nullable(),
    after: decision.nullable(),
    why: text.nullable().describe('Why the callers could not be compared.'),
    witness,
  })
  .describe('Requests that both files decide differently, without limits, bodies and the validity of tokens.');

const setting = z.strictObject({
  effect,
  class: z.enum(['policy', 'trust', 'services', 'operations']),
  key: text,
  before: z.unknown().describe('Null if there is none.'),
  after: z.unknown(),
  witness: witness.nullable(),
});

/** What `countersign diff --json` prints, and `countersign schema diff` describes. */
export const diffReport = z.strictObject({
  same: z.boolean(),
  wider: z.boolean().describe('Whether anyone gains access, or could.'),
  access: z.array(access),
  settings: z.array(setting).describe('Keys with another value.'),
  notCompared: z
    .strictObject({ variables: z.array(text), files: z.array(text) })
    .describe('Variables have defaults or placeholders, and files are not opened.'),
});

export type AccessChange = Immutable<z.output<typeof access>>;
export type SettingChange = Omit<Immutable<z.output<typeof setting>>, 'before' | 'after'> &
  Readonly<Record<'before' | 'after', unknown>>;
export type Effect = AccessChange['effect'];
export type Witness = AccessChange['witness'];
export type Condition = AccessChange['conditions'][number];
/** Where a request goes and as whom, or the code of its refusal. */
export type Decision = NonNullable<AccessChange['before']>;
export type DiffReport = Omit<z.output<typeof diffReport>, 'access' | 'settings'> &
  Readonly<{ access: readonly AccessChange[]; settings: readonly SettingChange[] }>;
