import { isObject, isText, type Json } from './signed-token.ts';

/** Whom an event is about. `unknown` says which members could not be read. */
export type EventSubject = Readonly<{
  /** One user, or none. Several if it has a name at each of several issuers. */
  users: readonly Readonly<{ issuer: string; id: string }>[];
  sessionId: string | undefined;
  tenantId: string | undefined;
  /** Members that narrow the subject, but cannot be compared with a token: a device, a group. */
  unknown: readonly string[];
}>;

const nothing: EventSubject = { users: [], sessionId: undefined, tenantId: undefined, unknown: [] };

/**
 * Reads a subject identifier (RFC 9493), or a complex subject (SSF 1.0 section 3.3), also in the older form without
 * `format: complex`.
 */
export function readSubject(value: unknown): EventSubject {
  if (!isObject(value)) return nothing;
  const format = formatOf(value);
  if (format !== undefined && format !== 'complex') return { ...nothing, users: usersOf(value) };
  const { format: _format, subject_type: _type, user, session, tenant, ...others } = value;
  const found = {
    users: usersOf(user),
    sessionId: session === undefined ? undefined : idOf(session),
    tenantId: tenant === undefined ? undefined : idOf(tenant),
  };
  const given = { user, session, tenant };
  const unread = [
    ['user', found.users[0]],
    ['session', found.sessionId],
    ['tenant', found.tenantId],
  ] as const;
  return {
    ...found,
    unknown: [
      ...Object.keys(others),
      ...unread.flatMap(([name, read]) => (given[name] !== undefined && read === undefined ? [name] : [])),
    ],
  };
}

/** Older transmitters write `subject_type`, with a hyphen. */
const formatOf = ({ format, subject_type: type }: Json): unknown =>
  format ?? (typeof type === 'string' ? type.replaceAll('-', '_') : undefined);

function usersOf(value: unknown): EventSubject['users'] {
  if (!isObject(value)) return [];
  const aliases = formatOf(value) === 'aliases' ? value.identifiers : [value];
  const all: readonly unknown[] = Array.isArray(aliases) ? aliases.slice(0, 16) : [];
  return all.flatMap((one) => issuerAndSubject(one) ?? []);
}

/** An address or a telephone number can pass to another person, so such formats are not read. */
function issuerAndSubject(value: unknown): EventSubject['users'][number] | undefined {
  if (!isObject(value) || formatOf(value) !== 'iss_sub') return undefined;
  const { iss, sub } = value;
  return isText(iss) && isText(sub) ? { issuer: iss, id: sub } : undefined;
}

function idOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const format = formatOf(value);
  if (format === 'opaque' && isText(value.id)) return value.id;
  return format === 'iss_sub' && isText(value.sub) ? value.sub : undefined;
}
