import { z } from 'zod';
import { text } from './values.ts';

/** A user or an OAuth client, as JSON. */
const identity = z
  .object({
    kind: z.enum(['user', 'client']),
    user_id: text,
    client_id: text.describe('The OAuth client that calls, or that the user logged in with.'),
    role: text,
    tenant_id: text,
    session_id: text,
    scope: z.array(z.string()),
    roles: z.array(z.string()).describe('Every mapped role in a verified token.'),
    act: z.object({ sub: z.string(), iss: z.string() }).nullable().describe('The actor that acts for the caller.'),
    bound: z.boolean().describe("Whether the token is bound to the client's key or certificate."),
  })
  .meta({ id: 'Identity' });
export type Identity = z.output<typeof identity>;

/** How each issuer judges a token. Never contains the signature. */
const tokenReport = z.object({
  unreadable: text.describe('Why the text is not a token.'),
  header: z.record(z.string(), z.unknown()).nullable(),
  claims: z.record(z.string(), z.unknown()).nullable(),
  issuers: z.array(
    z.object({
      issuer: z.string(),
      name: text,
      provider: text,
      own: z.boolean().describe("Whether the token's `iss` names this issuer."),
      accepted: z.boolean(),
      findings: z.array(
        z.object({ code: z.string(), claim: z.string(), wanted: z.string(), found: z.string(), fix: z.string() }),
      ),
      identity: identity.nullable().describe('The identity that the service would receive.'),
    }),
  ),
});
export type TokenReport = z.output<typeof tokenReport>;

const routeSettings = z
  .object({
    path: z.string().describe("The route's path pattern."),
    websocket: z.boolean(),
    limits: z.array(z.string()),
    body: z.string(),
    cors: z.array(z.string()).nullable().describe('The origins whose pages may call the gateway.'),
    inherited: z
      .array(z.string())
      .describe("The keys that the route inherits from groups, with each group's location."),
  })
  .describe("The route's configuration.");

const upstreamSettings = z
  .object({
    name: z.string(),
    targets: z.array(z.string()),
    handling: z.string(),
    signing: text.describe('Set if only the running gateway knows which key signs: see `algorithm: agreed`.'),
    signed_now: text.describe('How the running gateway signs now. Set only on the command line.'),
  })
  .describe('The upstream that receives the request.');

const stage = z.object({
  stage: z.string(),
  verdict: z.enum(['passes', 'refuses', 'answers', 'fails now', 'not reached']),
  notes: z.array(z.string()),
  rules: z.array(z.object({ rule: z.string(), refusal: text, why: z.string() })),
});

const header = z.tuple([z.string(), z.string()]);

/** How the gateway would handle a request. */
export const explainAnswer = z
  .object({
    method: z.string(),
    path: z.string(),
    caller: z.string(),
    identity: identity.nullable().describe('The user or OAuth client that calls, or that a service calls for.'),
    issuer: text.describe("The issuer of the caller's token. The OAuth client belongs to it too."),
    service: text.describe('The service that calls, on the internal listener.'),
    outcome: z.object({
      allowed: z.boolean(),
      status: z.int().nullable(),
      code: text,
      title: text,
      why: text,
      allow: z
        .array(z.string())
        .nullable()
        .describe("The methods that the path allows, if the request's method is not one of them."),
      warning: text.describe('Why an allowed request would fail now, such as an unavailable upstream.'),
    }),
    stages: z.array(stage),
    route: text,
    settings: routeSettings.nullable(),
    upstream: upstreamSettings.nullable(),
    token: tokenReport.nullable(),
    sends: z.object({ method: z.string(), target: z.string(), headers: z.array(header) }).nullable(),
    dropped: z.array(z.object({ name: z.string(), why: z.string() })),
    responds: z.array(header).describe("The headers in the gateway's own response."),
  })
  .meta({ id: 'Answer' });
export type Answer = z.output<typeof explainAnswer>;
