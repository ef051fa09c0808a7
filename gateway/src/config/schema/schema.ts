import { defaultGatewayName, foldHeaderName, isReservedHeader } from '@countersign/identity';
import { z } from 'zod';
import { issuer } from './issuers/issuers.ts';
import { admin, decision, listen } from './listen.ts';
import { testCase } from './policy-tests.ts';
import { route } from './routes.ts';
import { httpClient, upstream } from './upstreams.ts';
import { operations, policy, services, trust } from './values/key-class.ts';
import {
  filePath,
  headerName,
  name,
  scopeName,
  seconds,
  secretKeys,
  size,
  unique,
  wholeNumber,
} from './values/scalars.ts';
import { docsUrl, network, publicOrigin, redisUrl, tokenIssuer } from './values/urls.ts';

/** Excludes `*`: it would also allow unknown headers, and browsers ignore it for requests with credentials. */
const namedHeader = headerName.refine((name) => name !== '*', { error: 'must be the name of one header, not "*"' });

const settableHeader = namedHeader.refine((name) => !isReservedHeader(foldHeaderName(name)), {
  error: 'is a header that only the gateway may set, so the gateway would drop it',
});

const cors = z
  .strictObject({
    origins: unique(publicOrigin).min(1).max(1_000).meta(policy('The origins whose pages may call the gateway.')),
    credentials: z.boolean().default(false).meta(trust('Whether browsers may send and store cookies.', 'more')),
    headers: unique(settableHeader).prefault([]).meta(trust('Additional request headers that pages may set.', 'more')),
    expose: unique(namedHeader).prefault([]).meta(trust('Additional response headers that pages may read.', 'more')),
    maxAge: seconds({ min: '1s', max: '1d' })
      .prefault('10m')
      .meta(operations('How long browsers may cache a preflight response.')),
  })
  .transform(({ maxAge, ...rest }) => ({ ...rest, maxAgeSec: maxAge }));

const websockets = z
  .strictObject({
    maxPerUser: wholeNumber(1, 10_000)
      .default(100)
      .meta(operations('How many WebSockets one user may have open. Anonymous callers are counted by address.')),
  })
  .prefault({})
  .describe('WebSocket limits across all routes.');

const telemetry = z
  .strictObject({
    traces: z
      .strictObject({
        sampling: z.number().min(0).max(1).default(0.01).meta(operations('The share of requests to trace.')),
      })
      .prefault({})
      .describe('Traces for the collector in OTEL_EXPORTER_OTLP_ENDPOINT.'),
  })
  .prefault({})
  .describe('The telemetry that the gateway sends.');

/** Additional checks of DPoP proofs. The checks of RFC 9449 section 4.3 always apply. */
const dpop = z.strictObject({
  nonces: z
    .strictObject({
      ...secretKeys('secret', 'The secret, at least 32 bytes, from a variable. All replicas need the same secret.'),
      lifetime: seconds({ min: '10s', max: '1h' })
        .prefault('5m')
        .meta(trust('How long the gateway issues the same nonce. It also accepts the previous one.', 'more')),
    })
    .optional()
    .describe('Requires a nonce from the gateway in every DPoP proof.'),
});

/** The single source for validation, `countersign schema` and docs/gateway-yaml.md. */
export const schema = z
  .strictObject({
    version: z.literal(1).meta(operations('The version of the file format.')),
    listen: listen.prefault({}).describe('The addresses of the listeners.'),
    admin,
    decision: decision.optional(),
    publicOrigins: unique(publicOrigin)
      .prefault([])
      .meta(trust("The gateway's public origins. If set, a request with another `Host` gets 421.", 'more or none')),
    trustedProxies: z
      .array(network)
      .prefault([])
      .meta(trust('The proxies whose `X-Forwarded-For` the gateway trusts.', 'more')),
    insecureTransport: z
      .boolean()
      .default(false)
      .meta(
        trust(
          'Trusts the network: allows plain http to other machines, and an admin listener that they can reach.',
          'more',
        ),
      ),
    redis: redisUrl
      .optional()
      .meta(trust('Shares rate limits and replay memory between processes. Default: each process has its own.')),
    instances: z
      .enum(['one', 'many'])
      .default('one')
      .meta(
        operations('Whether one or several gateways use this file. `many` requires `redis`, for their shared state.'),
      ),
    journal: filePath
      .optional()
      .meta(trust("The directory for storing issuers' events, on a disk that only this gateway uses.")),
    issuers: z.array(issuer).prefault([]).describe('The trusted token issuers.'),
    scopes: unique(scopeName)
      .max(64)
      .prefault([])
      .meta(services('Scopes that services receive in addition to the scopes in `allow.scopes`.')),
    identity: z
      .strictObject({
        keys: filePath.meta(
          trust('The directory with the ed25519 keys: JWK files with mode 0600, relative to this file.'),
        ),
        keyFiles: z
          .enum(['owner', 'group'])
          .default('owner')
          .meta(trust("Who may read the key files. `group` also allows this process's group, for Kubernetes Secrets.")),
        lifetime: seconds({ min: '1s', max: '60s' })
          .prefault('30s')
          .meta(trust('How long a signature is valid.', 'more')),
        name: name.prefault(defaultGatewayName).meta(services("The gateway's name in nested calls.")),
        issuer: tokenIssuer
          .optional()
          .meta(
            services(
              'The issuer of identity tokens: the URL at which services reach `listen.internal`, or a URN. In a token, `/` and the upstream follow.',
            ),
          ),
      })
      .describe('How the gateway signs identity headers.'),
    dpop: dpop.prefault({}).describe('Additional checks of DPoP proofs (RFC 9449). Requires `publicOrigins`.'),
    services: z
      .record(
        name,
        z.strictObject({ keys: filePath.meta(trust("A file with the service's public keys, as a JWK set.")) }),
      )
      .prefault({})
      .describe('The services that may call on the internal listener, by name.'),
    upstreams: z.record(name, upstream).describe('The services behind the gateway, by name.'),
    httpClient,
    routes: z.array(route).min(1).max(10_000).describe('The routes, in any order.'),
    cors: cors
      .optional()
      .describe('Allows pages from other origins to call. The gateway itself responds to preflight requests.'),
    websockets,
    uploads: z
      .strictObject({
        maxPerAddress: wholeNumber(1, 10_000)
          .default(256)
          .meta(operations('The maximum number of streamed uploads in progress from one address (IPv6: one /64).')),
        maxBuffered: size({ min: '1MiB', max: '64GiB' })
          .optional()
          .meta(operations('The maximum size of all bodies in memory (`digest`). Default: one eighth of the memory.')),
        maxBufferedPerAddress: size({ min: '1MiB', max: '64GiB' })
          .optional()
          .meta(operations('The maximum of one address (IPv6: one /64). Default: a quarter of `maxBuffered`.')),
      })
      .prefault({})
      .describe('Limits across all routes. Each must be at least the largest `maxBytes` of a route with `digest`.'),
    headers: z
      .strictObject({
        strip: unique(headerName).prefault([]).meta(trust('Additional request headers to remove.', 'less')),
        security: z
          .boolean()
          .default(false)
          .meta(services('Whether to add HSTS, nosniff, frame and referrer headers to responses that lack them.')),
      })
      .prefault({})
      .describe('Header settings for all routes.'),
    errors: z
      .strictObject({
        pages: z
          .boolean()
          .default(true)
          .meta(operations('Whether a browser that navigates gets a page instead of JSON.')),
        docs: docsUrl
          .optional()
          .meta(
            operations('Adds `docs` to problem documents: this URL and the code, such as `…/errors/token_missing`.'),
          ),
      })
      .prefault({})
      .describe("How clients see the gateway's refusals."),
    telemetry,
    tests: z.array(testCase).prefault([]).describe('Tests that `countersign test` runs.'),
  })
  .describe('The configuration of a Countersign gateway.');

export type Document = z.output<typeof schema>;
