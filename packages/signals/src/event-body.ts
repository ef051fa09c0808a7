import { parseStrictObject } from '@countersign/jwks';
import { EventTokenError, type Json } from './signed-token.ts';

/** The largest accepted body of a webhook or a revoke call. */
export const maxDeliveryBytes = 256 * 1024;
const maxDepth = 32;
const maxTextBytes = 256;

/** A webhook or a revoke call, as it arrived. */
export type Delivery = Readonly<{
  /** @returns Undefined without the header, and if it is repeated. The name is in lower case. */
  header(name: string): string | undefined;
  body: Buffer;
}>;

/** The tenants that an event may name. */
export type NamedTenants = 'none' | 'any' | ReadonlySet<string>;

export type DeliveryOptions = Readonly<{
  issuer: string;
  tenants: NamedTenants;
  nowMs: number;
  toleranceMs: number;
}>;

export const malformed = (message: string) => new EventTokenError('invalid_request', message);

/** @throws EventTokenError `invalid_request`: not a JSON object, a repeated name, or nested too deeply. */
export function parseEventBody(body: Uint8Array): Json {
  let value: Json;
  try {
    value = parseStrictObject(body);
  } catch {
    throw malformed('the body is not a JSON object, or a name is repeated');
  }
  let level: object[] = [value];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > maxDepth) throw malformed('the body is nested too deeply');
    level = level.flatMap((one) => Object.values(one)).filter((one) => typeof one === 'object' && one !== null);
  }
  return value;
}

/**
 * Reads the id of a user.
 *
 * @returns Undefined if the value is missing or null.
 * @throws EventTokenError if it is not a text of 1 to 256 bytes.
 */
export function readId(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  // A lone surrogate would be hashed like other characters, and so name another subject.
  if (typeof value !== 'string' || value === '' || !value.isWellFormed() || Buffer.byteLength(value) > maxTextBytes) {
    throw malformed('an id is not a text of 1 to 256 bytes');
  }
  return value;
}

/** Like {@link readId}, for a session or a tenant. A space separates two ids in a revocation's name. */
export function readPlainId(value: unknown): string | undefined {
  const id = readId(value);
  if (id !== undefined && /[\p{Z}\p{C}]/u.test(id)) throw malformed('an id contains a space or a control character');
  return id;
}

const rfc3339 = /^(\d{4}-\d\d-(\d\d))T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/** @returns Unix milliseconds. Undefined if this is not a time of RFC 3339. */
export function parseTime(text: string): number | undefined {
  const [, date = '', day] = rfc3339.exec(text) ?? [];
  // Date.parse() reads February 30 as March 2.
  const ms = new Date(date).getUTCDate() === Number(day) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
