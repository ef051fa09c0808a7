import { type End, timeOfEnd } from './end.ts';
import { type DeliveryOptions, malformed, parseEventBody, parseTime, readId, readPlainId } from './event-body.ts';
import { isNamed } from './revoke-call.ts';
import { isText, isTime, type Json } from './signed-token.ts';
import type { ProvedDelivery, WebhookProof } from './webhook-proof.ts';

/** The values that members of a body must have, by JSON pointer (RFC 6901). */
export type Conditions = Readonly<Record<string, string | number | boolean | null>>;

/** What a provider sends, and what it ends. Each text but `type` in `ends` is a JSON pointer. */
export type WebhookFormat = Readonly<{
  verify: WebhookProof;
  /** The type of the event. */
  type: string;
  /** The list of events in the body. The pointers of `type` and `ends` then begin at one of them. */
  each?: string | undefined;
  /** The id of the delivery. Default: the signed one, or a digest of the body. */
  id?: string | undefined;
  /** The unit of times that are numbers. */
  unit: 'seconds' | 'milliseconds';
  /** A request header whose value is sent back, to prove to the provider who owns the URL. */
  challenge?: string | undefined;
  ends: readonly Readonly<{
    type: readonly string[];
    when?: Conditions | undefined;
    session?: string | undefined;
    user?: string | undefined;
    tenant?: string | undefined;
    /** When it happened. Default: the signed time, or the arrival. If it is missing or null, nothing ends. */
    at?: string | undefined;
  }>[];
}>;

export type WebhookOptions = DeliveryOptions &
  Readonly<{
    /** The values that tell this sender's project from others with the same secret. */
    where: Conditions;
    /** Whether access tokens name their session. Otherwise a session's end ends its user's tokens. */
    sessions: boolean;
  }>;

const maxEvents = 200;

/**
 * Reads what a webhook ends. Call `proveWebhook` first.
 *
 * @returns The ends, and why events end nothing. The id is undefined if neither the body nor the signature has one.
 * @throws EventTokenError `invalid_request` if it does not have the format. Then nothing of it ends.
 */
export function readWebhook(body: Uint8Array, format: WebhookFormat, proved: ProvedDelivery, options: WebhookOptions) {
  const whole = parseEventBody(body);
  const id = format.id === undefined ? proved.id : valueAt(whole, format.id);
  if (id !== undefined && !isText(id)) throw malformed('the id is not a text');
  if (!holds(options.where, whole)) return { id, ends: [], ignored: ['an event of another project'] };
  const events = format.each === undefined ? [whole] : valueAt(whole, format.each);
  if (!Array.isArray(events) || events.length > maxEvents) throw malformed('not a list of at most 200 events');
  const ends: End[] = [];
  const ignored: string[] = [];
  for (const event of events as readonly Json[]) {
    const type = valueAt(event, format.type);
    if (typeof type !== 'string') throw malformed('an event has no type');
    const rows = format.ends.filter((row) => row.type.includes(type) && holds(row.when ?? {}, event));
    const found = rows.flatMap((row) => endOf(event, type, row, format.unit, proved, options) ?? []);
    ends.push(...found);
    if (found.length === 0) ignored.push(rows.length === 0 ? 'another event' : 'an event without a subject or a time');
  }
  return { id, ends, ignored };
}

function endOf(
  event: Json,
  type: string,
  row: WebhookFormat['ends'][number],
  unit: WebhookFormat['unit'],
  { signedAtMs }: ProvedDelivery,
  options: WebhookOptions,
): End | undefined {
  const { issuer, tenants, nowMs } = options;
  const found = (pointer: string | undefined) => (pointer === undefined ? undefined : valueAt(event, pointer));
  const at = found(row.at);
  if (row.at !== undefined && (at === undefined || at === null)) return undefined;
  const eventMs = row.at === undefined ? signedAtMs : msOf(at, unit);
  const { notBeforeMs } = timeOfEnd({ ...options, eventMs, issuedAtMs: nowMs });
  const common = { issuer, notBeforeMs, event: type };
  const sessionId = options.sessions ? readPlainId(found(row.session)) : undefined;
  if (sessionId !== undefined) return { ...common, kind: 'session', sessionId };
  const [userId, tenantId] = [readId(found(row.user)), readPlainId(found(row.tenant))];
  if (userId === undefined) return undefined;
  if (row.tenant === undefined) return { ...common, kind: 'user', userId };
  return tenantId !== undefined && isNamed(tenantId, tenants)
    ? { ...common, kind: 'member', userId, tenantId }
    : undefined;
}

function msOf(at: unknown, unit: WebhookFormat['unit']): number {
  const ms = typeof at === 'string' ? parseTime(at) : isTime(at) ? at * (unit === 'seconds' ? 1000 : 1) : undefined;
  if (ms === undefined) throw malformed('a time is neither of RFC 3339 nor a number');
  return ms;
}

const holds = (conditions: Conditions, event: unknown): boolean =>
  Object.entries(conditions).every(([pointer, value]) => valueAt(event, pointer) === value);

/** Follows a JSON pointer (RFC 6901). Finds own members only. */
function valueAt(value: unknown, pointer: string): unknown {
  let found = value;
  for (const step of pointer.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Json)[name];
  }
  return found;
}
