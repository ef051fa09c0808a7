import { z } from 'zod';
import { isUnmatchedCode } from '../pipeline/unmatched.ts';
import { ruleCodes } from '../routing/policy.ts';

const text = z.string().optional();
const texts = z.array(z.string()).default([]);

/** The members of a request's log line that a replay reads. `caller` is a `LoggedCaller`. */
const logLine = z.object({
  request_id: z.string(),
  method: z.string(),
  path: z.string(),
  listener: z.literal('internal').optional(),
  upgrade: z.boolean().optional(),
  route: text,
  rule: text,
  code: text,
  detail: z.object({ part: text }).optional(),
  identity: z.enum(['user', 'client', 'anonymous', 'service']).optional(),
  user_id: text,
  client_id: text,
  actor: text,
  service_id: text,
  transaction_id: text,
  tenant_id: text,
  caller: z
    .object({
      iss: z.string(),
      role: text,
      scope: texts,
      other_scope: texts,
      actor_iss: text,
      bound: z.boolean().default(false),
      claims: z.record(z.string(), z.array(z.union([z.string(), z.number(), z.boolean()]))).optional(),
      mapping: z.string(),
    })
    .optional(),
});

export type LogLine = z.output<typeof logLine>;
export type LoggedCaller = NonNullable<LogLine['caller']>;

/** What was decided about a request: its route, the refusal, and the kind of caller that the service received. */
export type Decision = Readonly<{
  route: string | undefined;
  code: string | undefined;
  kind: LogLine['identity'];
}>;

/** @returns `other` for a line of another kind, such as a service's, and `broken` if it cannot be read. */
export function readLine(written: string): LogLine | 'other' | 'broken' {
  if (written === '' || written === '\r') return 'other';
  let line: unknown;
  try {
    line = JSON.parse(written);
  } catch {
    return 'broken';
  }
  const { msg, ip } = Object(line) as Readonly<Record<string, unknown>>;
  // Services log requests too, but not the address of a client.
  if (msg !== 'request' || ip === undefined) return 'other';
  return logLine.safeParse(line).data ?? 'broken';
}

const refusesByRule: ReadonlySet<string | undefined> = new Set(ruleCodes);

/**
 * Returns the recorded decision, from match through authorize: a request that a later stage refused was allowed.
 * Undefined if none was made: the gateway answered the request itself, refused it before a route was searched or
 * because of an address's limit, or the client disconnected.
 */
export function decisionOf({ route, code, identity }: LogLine): Decision | undefined {
  if (route === undefined) return isUnmatchedCode(code) ? { route, code, kind: undefined } : undefined;
  const isAllowed = identity !== undefined && !refusesByRule.has(code);
  if (isAllowed) return { route, code: undefined, kind: identity };
  return code === undefined ? undefined : { route, code, kind: undefined };
}
