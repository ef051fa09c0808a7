import type { KeySet } from '@countersign/jwks';
import { type End, type EventToken, timeOfEnd } from './end.ts';
import {
  checkAudience,
  EventTokenError,
  isObject,
  isText,
  isTime,
  type Json,
  parseToken,
  readIdAndTime,
  verifySignature,
} from './signed-token.ts';

/** The kinds of a credential change (CAEP 1.0 section 3.3.1). */
export const credentialChanges = ['create', 'revoke', 'update', 'delete'] as const;
export type CredentialChange = (typeof credentialChanges)[number];

export type SecurityEventTokenOptions = Readonly<{
  /** The `iss` of its tokens. */
  transmitter: string;
  /** The keys of the transmitter. */
  keys: Pick<KeySet, 'find' | 'lookup'>;
  /** JOSE names of the algorithms that it may use. */
  algorithms: readonly string[];
  /** The values of which `aud` must contain one. */
  audience: readonly string[];
  /** The `iss` of the access tokens, by the `iss` that subjects of events have. */
  issuers: ReadonlyMap<string, string>;
  /** Whether access tokens name their session. If not, an event about a session ends older tokens of its user. */
  sessions?: boolean | undefined;
  /**
   * Which tenants an event may name. `any`: access tokens name the tenant in the same words. `none`: they do not, so a
   * tenant in an event says nothing. Default: `none`.
   */
  tenants?: 'any' | 'none' | ReadonlySet<string> | undefined;
  /** Which changes of a credential end tokens. Default: all. */
  credentialChange?: readonly CredentialChange[] | undefined;
  /** The unit of `event_timestamp`. Default, and in the specification: seconds. */
  timestamps?: 'seconds' | 'milliseconds' | undefined;
  nowMs: number;
  /** How far the clocks may differ. Default: 5 s. */
  toleranceMs?: number;
}>;

const caep = 'https://schemas.openid.net/secevent/caep/event-type/';
const risc = 'https://schemas.openid.net/secevent/risc/event-type/';
const ssf = 'https://schemas.openid.net/secevent/ssf/event-type/';

/** The events that end tokens, and whether a session in the subject limits the end to that session. */
const ending: ReadonlyMap<string, 'session' | 'user'> = new Map([
  [`${caep}session-revoked`, 'session'],
  [`${caep}credential-change`, 'user'],
  [`${caep}token-claims-change`, 'user'],
  [`${risc}account-disabled`, 'user'],
  [`${risc}account-purged`, 'user'],
  [`${risc}credential-compromise`, 'user'],
  [`${risc}sessions-revoked`, 'user'],
]);

const maxEvents = 16;

/**
 * Verifies a Security Event Token, and maps its events to the tokens that they end. An event that ends nothing here is
 * no error: its token is acknowledged, and `ignored` has the reason.
 *
 * @throws EventTokenError if the token is invalid. KeySetUnavailable: try later.
 * @see RFC 8417, OpenID Shared Signals Framework 1.0, CAEP 1.0, RISC 1.0
 */
export async function verifySecurityEventToken(text: string, options: SecurityEventTokenOptions): Promise<EventToken> {
  const { transmitter, keys, algorithms, audience, nowMs, toleranceMs = 5_000 } = options;
  const token = parseToken(text, ['secevent+jwt']);
  const { iss, events, sub_id: subject } = token.payload;
  if (iss !== transmitter) throw new EventTokenError('invalid_issuer', 'iss is not the transmitter');
  checkAudience(token.payload, audience);
  const { jti, issuedAtMs } = readIdAndTime(token.payload);
  if (!isObject(events)) throw new EventTokenError('invalid_request', 'events is missing');
  const all = Object.entries(events);
  if (all.length === 0 || all.length > maxEvents) throw new EventTokenError('invalid_request', 'events has no event');
  await verifySignature(token, keys, algorithms);
  const ends: End[] = [];
  const ignored: string[] = [];
  let isLate = false;
  let verification: EventToken['verification'];
  for (const [type, value] of all) {
    const event = isObject(value) ? value : {};
    if (type === `${ssf}verification`) {
      verification = { state: isText(event.state) ? event.state : undefined };
      continue;
    }
    const result = endOf(type, event, subject ?? event.subject, options);
    if (typeof result === 'string') {
      ignored.push(result);
      continue;
    }
    const time = timeOfEnd({ eventMs: timeOf(event, options), issuedAtMs, nowMs, toleranceMs });
    isLate ||= time.isLate;
    ends.push({ ...result, notBeforeMs: time.notBeforeMs, event: nameOf(type) });
  }
  return { jti, issuedAtMs, ends, ignored, isLate, verification };
}

const nameOf = (type: string): string => type.slice(type.lastIndexOf('/') + 1);

function timeOf({ event_timestamp: time }: Json, { timestamps }: SecurityEventTokenOptions): number | undefined {
  if (!isTime(time)) return undefined;
  return timestamps === 'milliseconds' ? time : time * 1000;
}

/** An {@link End} without its time. */
type Ending = End extends infer Each ? (Each extends End ? Omit<Each, 'notBeforeMs' | 'event'> : never) : never;

/** @returns The end, or why there is none. */
function endOf(type: string, event: Json, about: unknown, options: SecurityEventTokenOptions): Ending | string {
  const scope = ending.get(type);
  if (scope === undefined) return 'an unknown event';
  const { credentialChange = credentialChanges } = options;
  const { change_type: change } = event;
  if (type === `${caep}credential-change` && !credentialChange.some((one) => change === undefined || one === change)) {
    return 'a change of a credential that ends nothing';
  }
  return subjectEnd(scope, readSubject(about), options);
}

/**
 * The members of a complex subject are AND, so one issuer must have named all members that name their issuer. An unknown
 * member, such as a device, may widen the end to the user, because
 * the stolen token would stay valid otherwise. It never widens it to the tenant.
 */
function subjectEnd(
  scope: 'session' | 'user',
  { users, sessionId, tenantId, issued, unknown }: EventSubject,
  { issuers, sessions = true, tenants = 'none' }: SecurityEventTokenOptions,
): Ending | string {
  const isAt = (issuer: string) => (name: Readonly<{ issuer: string }>) => issuers.get(name.issuer) === issuer;
  const common = [...new Set(issuers.values())].filter((issuer) => issued.every((names) => names.some(isAt(issuer))));
  const [issuer, another] = common;
  if (issuer === undefined) return 'a subject of another issuer';
  if (another !== undefined && issued.length === 0) return 'a subject of one of several issuers';
  const user = users.find(isAt(issuer));
  if (tenantId !== undefined && typeof tenants === 'object' && !tenants.has(tenantId)) return 'another tenant';
  if (tenants !== 'none' && unknown.includes('tenant')) return 'a tenant that cannot be read';
  const tenant = tenants === 'none' ? undefined : tenantId;
  if (scope === 'session' && sessions && sessionId !== undefined) {
    return { kind: 'session', issuer, sessionId, ...(tenant !== undefined && { tenantId: tenant }) };
  }
  if (user !== undefined) {
    return tenant === undefined
      ? { kind: 'user', issuer, userId: user.id }
      : { kind: 'member', issuer, userId: user.id, tenantId: tenant };
  }
  if (tenant !== undefined && unknown.length === 0 && sessionId === undefined) {
    return { kind: 'tenant', issuer, tenantId: tenant };
  }
  return 'a subject that tokens do not name';
}

/** A name that an issuer gave: a subject identifier of format `iss_sub`. */
type IssuedName = Readonly<{ issuer: string; id: string }>;

/** Whom an event is about. `unknown` says which members could not be read. */
type EventSubject = Readonly<{
  /** One user, or none. Several if it has a name at each of several issuers. */
  users: readonly IssuedName[];
  sessionId: string | undefined;
  tenantId: string | undefined;
  /** The names of each member that has one at an issuer. All members are about one subject. */
  issued: readonly (readonly IssuedName[])[];
  /** Members that narrow the subject, but cannot be compared with a token: a device, a group. */
  unknown: readonly string[];
}>;

const nothing: EventSubject = { users: [], sessionId: undefined, tenantId: undefined, issued: [], unknown: [] };

/** Reads a subject identifier (RFC 9493) or a complex subject (SSF 1.0 section 3.3), also in its older form. */
function readSubject(value: unknown): EventSubject {
  if (!isObject(value)) return nothing;
  const format = formatOf(value);
  if (format !== undefined && format !== 'complex') return readSubject({ format: 'complex', user: value });
  const { format: _format, subject_type: _type, ...members } = value;
  const found = { users: namesOf(members.user), sessionId: idOf(members.session), tenantId: idOf(members.tenant) };
  const read = new Map<string, unknown>([
    ['user', found.users[0]],
    ['session', found.sessionId],
    ['tenant', found.tenantId],
  ]);
  const issued = Object.values(members).map(namesOf);
  return {
    ...found,
    issued: issued.filter((names) => names.length > 0),
    unknown: Object.keys(members).filter((name) => read.get(name) === undefined),
  };
}

/** Older transmitters write `subject_type`, with a hyphen. */
const formatOf = ({ format, subject_type: type }: Json): unknown =>
  format ?? (typeof type === 'string' ? type.replaceAll('-', '_') : undefined);

/** Several names are aliases: one subject as each of several issuers names it. */
function namesOf(value: unknown): readonly IssuedName[] {
  if (!isObject(value)) return [];
  const aliases = formatOf(value) === 'aliases' ? value.identifiers : [value];
  const all: readonly unknown[] = Array.isArray(aliases) ? aliases.slice(0, 16) : [];
  return all.flatMap((one) => issuedName(one) ?? []);
}

/** An address or a telephone number can pass to another person, so such formats are not read. */
function issuedName(value: unknown): IssuedName | undefined {
  if (!isObject(value) || formatOf(value) !== 'iss_sub') return undefined;
  const { iss, sub } = value;
  return isText(iss) && isText(sub) ? { issuer: iss, id: sub } : undefined;
}

function idOf(value: unknown): string | undefined {
  if (isObject(value) && formatOf(value) === 'opaque' && isText(value.id)) return value.id;
  return issuedName(value)?.id;
}
