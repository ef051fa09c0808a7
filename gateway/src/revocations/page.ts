import { z } from 'zod';
import type { Revocation, RevocationGroup } from './revocations.ts';

/** One page of the feed. */
export type RevocationPage = Readonly<{
  /** The id of the log. Cursors are valid only within one log. */
  log: string;
  cursor: number;
  /** Whether this is the last page for now. */
  complete: boolean;
  entries: readonly (Revocation | RevocationGroup)[];
  /** The number of revocations in `entries`. */
  count: number;
  /** The number of items of an unknown kind or shape. They are counted and logged, and otherwise ignored. */
  unknown: number;
}>;

const maxItems = 5_000;
const maxName = 256;

const place = {
  log: z.string().min(1).max(128),
  cursor: z.union([z.number(), z.string().regex(/^\d{1,15}$/)]).pipe(z.coerce.number<number | string>().int().min(0)),
  complete: z.boolean(),
};
const page = z.union([
  z.object({ ...place, items: z.array(z.unknown()).max(maxItems) }),
  z.object({ ...place, groups: z.array(z.unknown()).max(maxItems) }),
]);

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const name = z.string().min(1).max(maxName);
const times = { not_before: instant, expires_at: instant };
const item = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('session'), sid: name, ...times }),
  z.object({ kind: z.literal('member'), user_id: name, tenant_id: name, ...times }),
  z.object({ kind: z.literal('user'), user_id: name, ...times }),
  z.object({ kind: z.literal('client'), client_id: name, tenant_id: name, ...times }),
  z.object({ kind: z.literal('tenant'), tenant_id: name, ...times }),
  z.object({ kind: z.literal('key'), kid: name, ...times }),
]);

/** Revocations with the same kind and times. The id of a member is `<tenant_id> <user_id>`, that of a client `<tenant_id> <client_id>`. */
const group = z.object({
  kind: z.enum(['session', 'member', 'user', 'client', 'tenant', 'key']),
  ids: z.array(z.unknown()),
  ...times,
});

/**
 * Reads a page of the feed. Invalid items are counted and skipped, so that one unknown item does not block the others.
 *
 * @param body The parsed JSON, with `items` or `groups`.
 * @throws ZodError when the body is not a page. Error when it holds more than 5,000 ids.
 */
export function readRevocationPage(body: unknown): RevocationPage {
  const { log, cursor, complete, ...list } = page.parse(body);
  const read = 'items' in list ? readItems(list.items) : readGroups(list.groups);
  return { log, cursor, complete, ...read };
}

type ReadItems = Pick<RevocationPage, 'entries' | 'count' | 'unknown'>;

function readItems(items: readonly unknown[]): ReadItems {
  const entries: Revocation[] = [];
  for (const raw of items) {
    const parsed = item.safeParse(raw);
    if (parsed.success) entries.push(toRevocation(parsed.data));
  }
  return { entries, count: entries.length, unknown: items.length - entries.length };
}

function readGroups(groups: readonly unknown[]): ReadItems {
  const entries: RevocationGroup[] = [];
  let count = 0;
  let unknown = 0;
  for (const raw of groups) {
    const parsed = group.safeParse(raw);
    if (!parsed.success) {
      unknown += 1;
      continue;
    }
    const { kind, ids, not_before: notBeforeMs, expires_at: expiresAtMs } = parsed.data;
    const names = ids.filter(kind === 'member' || kind === 'client' ? isPair : isName);
    count += names.length;
    unknown += ids.length - names.length;
    if (count + unknown > maxItems) throw new Error(`a page of more than ${maxItems} revocations`);
    entries.push({ kind, names, notBeforeMs, expiresAtMs });
  }
  return { entries, count, unknown };
}

const isName = (id: unknown): id is string => typeof id === 'string' && id !== '' && id.length <= maxName;

const isPair = (id: unknown): id is string =>
  typeof id === 'string' && id.split(' ').length === 2 && id.split(' ').every(isName);

function toRevocation(read: z.infer<typeof item>): Revocation {
  const times = { notBeforeMs: read.not_before, expiresAtMs: read.expires_at };
  switch (read.kind) {
    case 'session':
      return { kind: read.kind, sessionId: read.sid, ...times };
    case 'member':
      return { kind: read.kind, userId: read.user_id, tenantId: read.tenant_id, ...times };
    case 'user':
      return { kind: read.kind, userId: read.user_id, ...times };
    case 'client':
      return { kind: read.kind, clientId: read.client_id, tenantId: read.tenant_id, ...times };
    case 'tenant':
      return { kind: read.kind, tenantId: read.tenant_id, ...times };
    case 'key':
      return { kind: read.kind, kid: read.kid, ...times };
  }
}
