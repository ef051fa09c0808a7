import { z } from 'zod';
import { atMost, joined, newestFirst } from './merge.ts';
import { ms, text, time } from './values.ts';

export const request = z
  .object({
    id: z.string().describe('The `x-request-id`.'),
    client_request_id: text.describe('The id that the client or another proxy gave the request.'),
    trace_id: text.describe('The trace id. Null if tracing is off.'),
    at: time.describe('When the request ended.'),
    method: z.string(),
    path: z.string().describe('The path without the query. In a list, at most 256 characters.'),
    status: z.int().describe('The response status. 0 means that the client disconnected before the response started.'),
    aborted: z.boolean(),
    route: text,
    rule: text.describe(
      "The rule that refused the request, or the route's last rule, which allowed it. Null if no rule decided.",
    ),
    code: text.describe('The error code. Null if the gateway did not refuse the request.'),
    fault: text,
    title: text.describe("The refusal's public message."),
    detail: z.record(z.string(), z.string()).describe('The reason, for operators.'),
    identity: text,
    user_id: text,
    role: text,
    tenant_id: text,
    service_id: text,
    client_id: text,
    actor: text,
    issuer: text.describe("The token's issuer."),
    scope: z.array(z.string()).describe('The scopes in the token that the configuration knows.'),
    claims: z
      .record(z.string(), z.array(z.union([z.string(), z.number(), z.boolean()])))
      .describe('The claims in the token that rules compare.'),
    bound: z.boolean().describe('Whether the token is bound to a key.'),
    transaction_id: text,
    ip: text,
    upstream: text,
    target: text,
    attempts: z.int().nullable(),
    retried_after: text,
    error: text.describe('The kind of error that caused a 5xx. The log has its text.'),
    total_ms: z.number(),
    decided_ms: ms.describe('The time until the request was signed.'),
    waited_ms: ms.describe('The time from then until the request had a connection.'),
    upstream_ms: ms.describe('The time from then until the response began.'),
  })
  .meta({ id: 'Request' });
export type Request = z.output<typeof request>;

/** The maximum number of requests in a response. */
export const maxRequests = 1_500;

export const requestList = z.object({ requests: atMost(maxRequests, joined(request, newestFirst('at'))) });

export const outcomes = ['refused', 'failed', 'served'] as const;

const filterTime = z.iso
  .datetime({ offset: true, error: 'must be a time with an offset, such as 2026-11-26T09:41:07Z' })
  .optional();

export const requestFilters = {
  route: z.string().optional(),
  status: z
    .string()
    .regex(/^(?:[1-5]xx|[1-5]\d\d|0)$/, 'must be a status such as 403, or a class such as 4xx')
    .optional()
    .describe('A status, or a class such as `4xx`. 0 means that the client disconnected.'),
  code: z.string().optional(),
  user: z.string().optional().describe("A user id, or a refused token's subject."),
  tenant: z.string().optional(),
  id: z.string().optional().describe('The start of a request id.'),
  since: filterTime.describe('Only requests that ended at this time or later (RFC 3339).'),
  until: filterTime.describe('Only requests that ended before this time (RFC 3339).'),
  outcome: z.enum(outcomes, { error: `must be one of ${outcomes.join(', ')}` }).optional(),
};
