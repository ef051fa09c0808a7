import { z } from 'zod';
import type { Revocation } from './revocations.ts';

/** One answer of the feed. */
export type RevocationPage = Readonly<{
  /** The log's identity: another one means that cursors of before mean nothing. */
  log: string;
  cursor: number;
  /** There is nothing after this page, as of now. */
  complete: boolean;
  entries: readonly Revocation[];
  /** Items of a kind or shape that this gateway does not know. They are counted and logged, not obeyed. */
  unknown: number;
}>;

const page = z.object({
  log: z.string().min(1).max(128),
  cursor: z.union([z.number(), z.string().regex(/^\d{1,15}$/)]).pipe(z.coerce.number<number | string>().int().min(0)),
  complete: z.boolean(),
  items: z.array(z.unknown()).max(5_000),
});

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const name = z.string().min(1).max(256);
const times = { not_before: instant, expires_at: instant };
const item = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('session'), sid: name, ...times }),
  z.object({ kind: z.literal('member'), user_id: name, tenant_id: name, ...times }),
  z.object({ kind: z.literal('user'), user_id: name, ...times }),
  z.object({ kind: z.literal('tenant'), tenant_id: name, ...times }),
  z.object({ kind: z.literal('key'), kid: name, ...times }),
]);

/**
 * @param body The answer's JSON.
 * @throws ZodError when it is no page at all. An item that cannot be read does not hold up those that can: one that we
 *   do not understand must not become a reason to obey none.
 */
export function readRevocationPage(body: unknown): RevocationPage {
  const { log, cursor, complete, items } = page.parse(body);
  const entries: Revocation[] = [];
  for (const raw of items) {
    const parsed = item.safeParse(raw);
    if (parsed.success) entries.push(toRevocation(parsed.data));
  }
  return { log, cursor, complete, entries, unknown: items.length - entries.length };
}

function toRevocation(read: z.infer<typeof item>): Revocation {
  const times = { notBeforeMs: read.not_before, expiresAtMs: read.expires_at };
  switch (read.kind) {
    case 'session':
      return { kind: read.kind, sessionId: read.sid, ...times };
    case 'member':
      return { kind: read.kind, userId: read.user_id, tenantId: read.tenant_id, ...times };
    case 'user':
      return { kind: read.kind, userId: read.user_id, ...times };
    case 'tenant':
      return { kind: read.kind, tenantId: read.tenant_id, ...times };
    case 'key':
      return { kind: read.kind, kid: read.kid, ...times };
  }
}
