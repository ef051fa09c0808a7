import { foldHeaderName, isReservedHeader } from '@countersign/identity';
import { z } from 'zod';
import { dpop } from './dpop.ts';
import { type IssuerPart, issuer } from './issuers.ts';
import { listen } from './listeners.ts';
import { network } from './networks.ts';
import { type TestPart, testCase } from './policy-tests.ts';
import { type RoutePart, route } from './routes.ts';
import type { Pieces } from './rules.ts';
import { filePath, headerName, name, seconds, unique, wholeNumber } from './scalars.ts';
import { type UpstreamPart, upstream } from './upstreams.ts';
import { allowedHost, publicOrigin, redisUrl } from './urls.ts';

/** One by one: `*` would also mean what nobody thought of, and means nothing where credentials are sent. */
const namedHeader = headerName.refine((name) => name !== '*', { error: 'must name headers one by one, "*" is none' });

const settableHeader = namedHeader.refine((name) => !isReservedHeader(foldHeaderName(name)), {
  error: 'is a header that only the gateway writes: it would be dropped',
});

const cors = z.strictObject({
  origins: unique(publicOrigin).min(1).max(1_000).describe('Whose pages may read answers, and open WebSockets.'),
  credentials: z.boolean().default(false).describe('Whether browsers may send cookies along, and keep those they get.'),
  headers: unique(settableHeader).prefault([]).describe('More request headers that pages may set.'),
  expose: unique(namedHeader).prefault([]).describe('More headers of answers that pages may read.'),
  maxAge: seconds({ min: '1s', max: '1d' }).prefault('10m').describe('How long browsers may remember this.'),
});

const websockets = z
  .strictObject({
    maxPerUser: wholeNumber(1, 10_000)
      .default(100)
      .describe('How many one user may have open, over all routes of a process. An anonymous one counts by address.'),
  })
  .prefault({})
  .describe('WebSockets, on every route that takes them.');

/** The one source: checks, `countersign schema` and docs/gateway-yaml.md all come from here. */
export const schema = z
  .strictObject({
    version: z.literal(1).describe('Of this format.'),
    listen: listen.prefault({}).describe('Where the gateway listens.'),
    admin: z
      .strictObject({
        allowedHosts: unique(allowedHost)
          .prefault([])
          .describe(
            'What else its clients may call it, such as `gateway.internal` (on any port) or `localhost:9999`. Another Host is 421.',
          ),
      })
      .prefault({})
      .describe(
        'The listener for operators. It always answers to `localhost` and to its own address, on its own port.',
      ),
    publicOrigins: unique(publicOrigin).prefault([]).describe('What clients call it. If any, another Host is 421.'),
    trustedProxies: z.array(network).prefault([]).describe('Whose `X-Forwarded-For` counts.'),
    insecureTransport: z.boolean().default(false).describe('Whether http may leave this machine.'),
    redis: redisUrl
      .optional()
      .describe(
        'Where gateways share their limits, and which proofs and nested calls were used. Without it each process remembers for itself.',
      ),
    issuers: z.array(issuer).prefault([]).describe('Whose tokens are good.'),
    identity: z
      .strictObject({
        keys: filePath.describe('Directory of the ed25519 keys: JWK files, mode 0600. Relative to this file.'),
        lifetime: seconds({ min: '1s', max: '60s' }).prefault('30s').describe('How long a signature holds.'),
      })
      .describe('How identity is signed.'),
    dpop: dpop.prefault({}).describe('Proofs of possession (RFC 9449). They need `publicOrigins`.'),
    services: z
      .record(name, z.strictObject({ keys: filePath.describe('Its public keys, a JWK set.') }))
      .prefault({})
      .describe('Who may call on the internal listener.'),
    upstreams: z.record(name, upstream).describe('The services behind the gateway, by name.'),
    routes: z.array(route).min(1).max(10_000).describe('What is served. Their order does not matter.'),
    cors: cors.optional().describe('Lets pages of other origins call. Answered here; services are not asked.'),
    websockets,
    uploads: z
      .strictObject({
        maxPerAddress: wholeNumber(1, 10_000)
          .default(256)
          .describe(
            'How many may arrive at once from one client address (IPv6: one /64), over all routes of a process.',
          ),
      })
      .prefault({})
      .describe('Bodies of routes with `mode: stream`.'),
    headers: z
      .strictObject({
        strip: unique(headerName).prefault([]).describe('More request headers that never reach a service.'),
        security: z
          .boolean()
          .default(false)
          .describe('Whether answers of services get HSTS, nosniff, frame and referrer headers where they have none.'),
      })
      .prefault({})
      .describe('Headers, on every route.'),
    tests: z.array(testCase).prefault([]).describe('Run by `countersign test`.'),
  })
  .describe('The configuration of a Countersign gateway.');

export type Document = z.output<typeof schema>;

/** The well-formed pieces of a file, in which others may be malformed. */
export type WellFormed = Readonly<{
  listen: Pieces<Document['listen']>;
  issuers: readonly Pieces<IssuerPart>[];
  upstreams: ReadonlyMap<string, Pieces<UpstreamPart>>;
  services: ReadonlySet<string>;
  routes: readonly Pieces<RoutePart>[];
  tests: readonly Pieces<TestPart>[];
}> &
  Pieces<Pick<Document, 'admin' | 'dpop' | 'insecureTransport' | 'publicOrigins' | 'redis'>>;

/** @param file From {@link withRules}: a malformed piece is undefined, whatever the type says. */
export function wellFormed(file: Pieces<Document>): WellFormed {
  return {
    ...file,
    listen: file.listen ?? {},
    issuers: (file.issuers ?? []).map((piece) => piece ?? {}),
    upstreams: new Map(Object.entries(file.upstreams ?? {}).map(([name, piece]) => [name, piece ?? {}])),
    services: new Set(Object.keys(file.services ?? {})),
    routes: (file.routes ?? []).map((piece) => piece ?? {}),
    tests: (file.tests ?? []).map((piece) => piece ?? {}),
  };
}
