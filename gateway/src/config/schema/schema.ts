import { defaultGatewayName, foldHeaderName, isReservedHeader } from '@countersign/identity';
import { z } from 'zod';
import { decision } from './decision.ts';
import { dpop } from './dpop.ts';
import { issuer } from './issuers/issuers.ts';
import { admin, listen } from './listen.ts';
import { testCase } from './policy-tests.ts';
import { route } from './routes.ts';
import { httpClient, upstream } from './upstreams.ts';
import { network } from './values/networks.ts';
import { filePath, headerName, name, scopeName, seconds, size, unique, wholeNumber } from './values/scalars.ts';
import { publicOrigin, redisUrl } from './values/urls.ts';

/** `*` is not allowed: it would also allow unknown headers, and browsers ignore it for requests with credentials. */
const namedHeader = headerName.refine((name) => name !== '*', { error: 'must be the name of one header, not "*"' });

const settableHeader = namedHeader.refine((name) => !isReservedHeader(foldHeaderName(name)), {
  error: 'is a header that only the gateway writes, so it would be dropped',
});

const cors = z
  .strictObject({
    origins: unique(publicOrigin).min(1).max(1_000).describe('The origins whose pages may call.'),
    credentials: z.boolean().default(false).describe('Whether browsers may send and store cookies.'),
    headers: unique(settableHeader).prefault([]).describe('Additional request headers that pages may set.'),
    expose: unique(namedHeader).prefault([]).describe('Additional response headers that pages may read.'),
    maxAge: seconds({ min: '1s', max: '1d' }).prefault('10m').describe('How long browsers may cache the preflight.'),
  })
  .transform(({ maxAge, ...rest }) => ({ ...rest, maxAgeSec: maxAge }));

const websockets = z
  .strictObject({
    maxPerUser: wholeNumber(1, 10_000)
      .default(100)
      .describe('The maximum per user. Anonymous callers are counted by address.'),
  })
  .prefault({})
  .describe('Limits on WebSockets, over all routes.');

const telemetry = z
  .strictObject({
    traces: z
      .strictObject({
        sampling: z.number().min(0).max(1).default(0.01).describe('The share of requests whose spans are recorded.'),
      })
      .prefault({})
      .describe('Where OTEL_EXPORTER_OTLP_ENDPOINT names a collector.'),
  })
  .prefault({})
  .describe('What the gateway reports about itself.');

/** The only source of validation, `countersign schema` and docs/gateway-yaml.md. */
export const schema = z
  .strictObject({
    version: z.literal(1).describe('The version of this format.'),
    listen: listen.prefault({}).describe('The addresses of the listeners.'),
    admin,
    decision: decision.optional(),
    publicOrigins: unique(publicOrigin).prefault([]).describe('The public origins. If set, another `Host` gets 421.'),
    trustedProxies: z.array(network).prefault([]).describe('The proxies whose `X-Forwarded-For` is trusted.'),
    insecureTransport: z
      .boolean()
      .default(false)
      .describe('Whether to trust the network: plain http to other machines, a reachable admin listener.'),
    redis: redisUrl
      .optional()
      .describe('Shares limits and replay memory between processes. Default: each process has its own.'),
    instances: z
      .enum(['one', 'many'])
      .default('one')
      .describe('Whether several gateways serve this file. `many` requires `redis` for what they must share.'),
    journal: filePath
      .optional()
      .describe('The directory in which events of issuers are kept, on a disk of this gateway alone.'),
    issuers: z.array(issuer).prefault([]).describe('The trusted token issuers.'),
    scopes: unique(scopeName)
      .max(64)
      .prefault([])
      .describe('Scopes that services receive in addition to those of `allow.scopes`.'),
    identity: z
      .strictObject({
        keys: filePath.describe('The directory of the ed25519 keys: JWK files, mode 0600. Relative to this file.'),
        keyFiles: z
          .enum(['owner', 'group'])
          .default('owner')
          .describe('Who may read them. `group`: the group of this process too, as in a Secret of Kubernetes.'),
        lifetime: seconds({ min: '1s', max: '60s' }).prefault('30s').describe('How long a signature is valid.'),
        name: name.prefault(defaultGatewayName).describe('The name of the gateway in nested calls.'),
      })
      .describe('How identity is signed.'),
    dpop: dpop.prefault({}).describe('Proofs of possession (RFC 9449). Requires `publicOrigins`.'),
    services: z
      .record(name, z.strictObject({ keys: filePath.describe('The file with its public keys, a JWK set.') }))
      .prefault({})
      .describe('The services that may call on the internal listener, by name.'),
    upstreams: z.record(name, upstream).describe('The services behind the gateway, by name.'),
    httpClient,
    routes: z.array(route).min(1).max(10_000).describe('The routes, in any order.'),
    cors: cors.optional().describe('Allows pages of other origins to call. The gateway responds to preflights itself.'),
    websockets,
    uploads: z
      .strictObject({
        maxPerAddress: wholeNumber(1, 10_000)
          .default(256)
          .describe('With `mode: stream`: the most at once from one address (IPv6: one /64).'),
        maxBuffered: size({ min: '1MiB', max: '64GiB' })
          .optional()
          .describe('With `mode: digest`: the most held at once. Default: an eighth of the memory.'),
        maxBufferedPerAddress: size({ min: '1MiB', max: '64GiB' })
          .optional()
          .describe('The maximum for one client address (IPv6: one /64). Default: a quarter of `maxBuffered`.'),
      })
      .prefault({})
      .describe(
        'Limits on request bodies, over all routes. Each is at least the largest `maxBytes` of a route with `digest`.',
      ),
    headers: z
      .strictObject({
        strip: unique(headerName).prefault([]).describe('Additional request headers that are removed.'),
        security: z
          .boolean()
          .default(false)
          .describe('Whether HSTS, nosniff, frame and referrer headers are added to responses that lack them.'),
      })
      .prefault({})
      .describe('Settings for headers, on all routes.'),
    telemetry,
    tests: z.array(testCase).prefault([]).describe('Tests that `countersign test` runs.'),
  })
  .describe('The configuration of a Countersign gateway.');

export type Document = z.output<typeof schema>;
