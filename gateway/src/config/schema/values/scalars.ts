import { isIP, isIPv4 } from 'node:net';
import { tokenCharacters } from '@countersign/http1-client';
import { idPattern, isScope, isSubject, rolePattern } from '@countersign/identity';
import { z } from 'zod';
import { kindOf } from '../messages.ts';
import { trust } from './key-class.ts';

/** A listener's address. With port 0, the system chooses a port. */
export type Address = Readonly<{ host: string; port: number }>;

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const unitBytes = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

const durationText = /^(\d{1,9})(ms|s|m|h|d)$/;
const sizeText = /^(\d{1,9})(B|KiB|MiB|GiB)$/;

/**
 * A whole number between two bounds. `z.int` would abort the parse of the whole file, and zod would then skip even the
 * cross-checks that always run.
 */
export function wholeNumber(min: number, max: number) {
  return z
    .number({
      error: ({ code, input }) => (code === 'invalid_type' ? `must be ${kindOf('whole number', input)}` : undefined),
    })
    .refine(Number.isInteger, { error: 'must be a whole number' })
    .min(min)
    .max(max)
    .meta({ type: 'integer' });
}

type Bounds = Readonly<{ min: string; max: string }>;

const within = (value: number, min: number, max: number) => (value >= min && value <= max ? value : undefined);

/** A duration such as `250ms`, `30s`, `15m`, `1h` or `1d`, parsed to milliseconds. */
export function duration({ min, max }: Bounds) {
  const allowed = `a duration from ${min} to ${max}, such as 30s (units: ms, s, m, h, d)`;
  const parse = (text: string) => within(toMs(text), toMs(min), toMs(max));
  return parsedText('duration', allowed, parse, durationText).meta({ 'x-bounds': `${min} to ${max}` });
}

/** Like {@link duration}, parsed to whole seconds. */
export function seconds(bounds: Bounds) {
  return parsed(duration(bounds), 'must be a whole number of seconds', (ms) =>
    ms % 1000 === 0 ? ms / 1000 : undefined,
  );
}

/** A size such as `512B`, `64KiB`, `1MiB` or `1GiB`, or a number of bytes, parsed to bytes. */
export function size({ min, max }: Bounds) {
  const error = `must be a size from ${min} to ${max}, such as 1MiB (units: B, KiB, MiB, GiB) or a number of bytes`;
  const given = z.union([z.int(), z.string().regex(sizeText, { error })], { error });
  const described = given.meta({ 'x-type': 'size', 'x-bounds': `${min} to ${max}` });
  return parsed(described, error, (size) =>
    within(typeof size === 'number' ? size : toBytes(size), toBytes(min), toBytes(max)),
  );
}

const toMs = (text: string): number => amountOf(text, durationText, unitMs);
const toBytes = (text: string): number => amountOf(text, sizeText, unitBytes);

function amountOf(text: string, pattern: RegExp, units: Readonly<Record<string, number>>): number {
  const [, digits, unit = ''] = pattern.exec(text) ?? [];
  return Number(digits) * (units[unit] ?? Number.NaN);
}

/** Adds a parsed form to a schema. `parse` returns undefined to refuse the value. */
function parsed<In, Out>(schema: z.ZodType<In>, error: string, parse: (given: In) => Out | undefined) {
  return schema.transform((given, context) => {
    const value = parse(given);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: error });
    return z.NEVER;
  });
}

/**
 * A string that `parse` accepts. `parse` returns undefined to refuse the string.
 *
 * @param roughly A pattern for editors. It matches everything that `parse` accepts, and little else.
 */
export function parsedText<T>(type: string, allowed: string, parse: (text: string) => T | undefined, roughly?: RegExp) {
  const error = `must be ${allowed}`;
  const described = z.string({ error }).meta({ 'x-type': type, ...(roughly && { pattern: roughly.source }) });
  return parsed(described, error, parse);
}

export const addressPattern = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/;

export const address = parsedText(
  'address',
  'an address to listen on, such as "127.0.0.1:8080"',
  parseAddress,
  addressPattern,
);

export function parseAddress(text: string): Address | undefined {
  const [, v6, name, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65_535) return undefined;
  if (v6 !== undefined && isIP(v6) !== 6) return undefined;
  // DNS would look up a malformed IPv4 address as a host name.
  if (name !== undefined && /^[\d.]+$/.test(name) && !isIPv4(name)) return undefined;
  return { host, port };
}

const matching = (pattern: RegExp, allowed: string) =>
  z.string({ error: `must be ${allowed}` }).regex(pattern, { error: `must be ${allowed}` });

/** The name of an upstream, a service or a route. An upstream's name is the audience of the signatures it receives. */
export const name = matching(
  /^[a-z][a-z0-9-]{0,62}$/,
  'a name: a lower-case letter, then letters, digits and "-", at most 63',
);

export const role = matching(rolePattern, 'a role: lower-case letters, digits, "_" and "-", at most 64');

export const id = matching(idPattern, 'an id: letters, digits and "._~:@|-", at most 128');

export const scopeName = parsedText(
  'scope',
  'a scope: visible ASCII characters without quote and backslash, at most 128',
  (text) => (isScope(text) ? text : undefined),
);

export const partyName = parsedText(
  'text',
  'visible ASCII characters without quote and backslash, at most 255',
  (text) => (isSubject(text) ? text : undefined),
);

/** The name of one claim. Dots belong to the name. A list is the path to a claim inside another claim. */
export const claimName = matching(/^[^\s"\\]{1,128}$/, 'the name of a claim');

/** A token (RFC 9110 section 5.6.2), at most 64 characters. */
const token = new RegExp(`^[${tokenCharacters}]{1,64}$`);

export const headerName = matching(token, 'the name of a header');

export const cookieName = matching(token, 'the name of a cookie');

export const text = matching(/^[^\0]+$/, 'a text');

/** Refuses file content where a path belongs: a key would appear wherever the path is logged. */
export const filePath = matching(
  /^[^\0\r\n{][^\0\r\n]*$/,
  'the path of a file or directory, not its content; relative paths start at the directory of this file',
);

/** The two keys for a secret: its text, which must come from a variable, or a file that contains it. */
export const secretKeys = <Key extends string>(key: Key, meaning: string) =>
  ({
    [key]: text.optional().meta(trust(meaning)),
    [`${key}File`]: filePath.optional().meta(trust(`A file with the secret, instead of \`${key}\`.`)),
  }) as Record<Key | `${Key}File`, z.ZodOptional<z.ZodString>>;

export const pathOnly = parsedText(
  'path',
  'a path without query, such as /healthz',
  (text) => {
    const url = URL.parse(text, 'http://a');
    return text.startsWith('/') && url?.origin === 'http://a' && url.pathname === text ? text : undefined;
  },
  /^\/[^?#\s]*$/,
);

export const hostName = matching(
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/,
  'a host name, such as "complaints.internal"',
);

export function unique<Item extends z.ZodType>(item: Item) {
  return z
    .array(item)
    .refine((items) => new Set(items).size === items.length, { error: 'contains the same value twice' })
    .meta({ uniqueItems: true });
}
