import { z } from 'zod';
import type { RevocationGroup } from './revocations.ts';
import { type RevokedKind, revokedKinds } from './revoked-subject.ts';

/** One batch from the feed. */
export type RevocationBatch = Readonly<{
  /** The log's id. Cursors are valid only within one log. */
  log: string;
  cursor: number;
  /** Whether this is the last batch for now. */
  complete: boolean;
  entries: readonly RevocationGroup[];
  /** How many revocations `entries` contains. */
  count: number;
  /** How many items had an unknown kind or shape. They are counted and logged, and otherwise ignored. */
  unknown: number;
}>;

const maxItems = 5_000;
const maxName = 256;

const place = {
  log: z.string().min(1).max(128),
  cursor: z.union([z.number(), z.string().regex(/^\d{1,15}$/)]).pipe(z.coerce.number<number | string>().int().min(0)),
  complete: z.boolean(),
};
const list = z.array(z.unknown()).max(maxItems);
const batch = z.union([z.object({ ...place, items: list }), z.object({ ...place, groups: list })]);

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const common = { kind: z.enum(revokedKinds), not_before: instant, expires_at: instant };
/** One revocation. Its other members name its subject. */
const item = z.looseObject({ kind: common.kind });
/** Revocations that share a kind and times. */
const group = z.object({ ...common, ids: z.array(z.unknown()) });

/** The members of an item that name its subject, in the order of their ids in a group. */
const nameMembers: Readonly<Record<RevokedKind, readonly string[]>> = {
  session: ['sid'],
  member: ['tenant_id', 'user_id'],
  user: ['user_id'],
  client: ['tenant_id', 'client_id'],
  tenant: ['tenant_id'],
  key: ['kid'],
};

/**
 * Reads a batch from the feed. Counts and skips invalid items, so that one unknown item does not block the others.
 *
 * @param body The parsed JSON, with `items` or `groups`.
 * @throws ZodError if the body is not a batch. Error if the batch contains more than 5,000 ids.
 */
export function readRevocationBatch(body: unknown): RevocationBatch {
  const { log, cursor, complete, ...rest } = batch.parse(body);
  const entries: RevocationGroup[] = [];
  let count = 0;
  let unknown = 0;
  for (const raw of 'items' in rest ? rest.items.map(groupOf) : rest.groups) {
    const { data } = group.safeParse(raw);
    if (data === undefined) unknown += 1;
    else {
      const { kind, ids, not_before: notBeforeMs, expires_at: expiresAtMs } = data;
      const names = ids.filter(nameMembers[kind].length === 2 ? isPair : isName);
      entries.push({ kind, names, notBeforeMs, expiresAtMs });
      count += names.length;
      unknown += ids.length - names.length;
    }
    if (count + unknown > maxItems) throw new Error(`a batch of more than ${maxItems} revocations`);
  }
  return { log, cursor, complete, entries, count, unknown };
}

/** Turns an item into a group of one. Undefined if its kind is unknown or it names no subject. */
function groupOf(raw: unknown): unknown {
  const { data } = item.safeParse(raw);
  const ids = data && nameMembers[data.kind].map((member) => data[member]);
  return ids?.every(isName) && { ...(raw as object), ids: [ids.join(' ')] };
}

const isName = (id: unknown): id is string => typeof id === 'string' && id !== '' && id.length <= maxName;

const isPair = (id: unknown): id is string =>
  typeof id === 'string' && id.split(' ').length === 2 && id.split(' ').every(isName);
