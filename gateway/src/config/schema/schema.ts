import { z } from 'zod';
import { cors, websockets } from './browser-schema.ts';
import { dpop } from './dpop-schema.ts';
import { network } from './network-scalar.ts';
import { method, route } from './route-schema.ts';
import {
  address,
  claimName,
  duration,
  filePath,
  headerName,
  id,
  name,
  role,
  seconds,
  text,
  unique,
} from './scalars.ts';
import { upstream } from './upstream-schema.ts';
import { allowedHost, calledUrl, issuerIdentifier, keySource, publicOrigin, redisUrl } from './url-scalars.ts';

const signingAlgorithm = z.enum([
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
]);

export const listen = z.strictObject({
  public: address.prefault('127.0.0.1:8080').describe('Where clients call.'),
  admin: address
    .prefault('127.0.0.1:9090')
    .describe('Health, metrics and the key set, for operators. Never for clients.'),
  internal: address.prefault('127.0.0.1:8090').describe('The key set for services, and calls between services.'),
  tls: z
    .strictObject({
      cert: filePath.describe('The certificate in PEM, its chain behind it.'),
      key: filePath.describe('Its private key in PEM, without a passphrase.'),
    })
    .optional()
    .describe('Makes `public` speak TLS 1.2 and 1.3, and nothing else. The files are read again when they change.'),
});

export const issuer = z.strictObject({
  issuer: issuerIdentifier.describe('Compared with `iss`, byte by byte.'),
  audience: text.describe('What `aud` must contain.'),
  jwks: keySource.describe(
    'Where the issuer publishes its keys: a URL, or the path of a JWK set, read again every 5 s.',
  ),
  algorithms: unique(signingAlgorithm)
    .min(1)
    .describe(
      'What this issuer signs with. Nothing else is accepted from it. `EdDSA` is Ed25519, under either name of it.',
    ),
  claims: z
    .strictObject({
      userId: claimName.prefault('user_id').describe('The claim with the user.'),
      role: claimName.prefault('role').describe('The claim with the role.'),
      tenantId: claimName.prefault('tenant_id').describe('The claim with the tenant.'),
    })
    .prefault({})
    .describe('Where its tokens say who the caller is.'),
  tenants: unique(id).min(1).optional().describe('The tenants it may speak for. Required with two or more issuers.'),
  roles: unique(role).min(1).optional().describe('The roles it may give. Required with two or more issuers.'),
  revocations: z
    .strictObject({
      url: calledUrl.describe('The feed. Called with a signed `x-identity: gateway`.'),
      maxStaleness: duration({ min: '1s', max: '1h' }).prefault('30s').describe('How old the last news may be.'),
      onStale: z.enum(['allow', 'deny']).prefault('allow').describe('What happens to tokens when it is older.'),
    })
    .optional()
    .describe('Where revoked sessions, users, tenants and keys are announced. Makes `sid` required.'),
});

export const testCase = z.strictObject({
  request: z
    .strictObject({
      method: method.describe('The method.'),
      path: text.describe('The request target.'),
      as: z
        .strictObject({
          userId: id.describe('The user in its token.'),
          role: role.describe('The role in its token.'),
          tenantId: id.describe('The tenant in its token.'),
          bound: z.boolean().default(false).describe('Whether its token is bound to a key (DPoP), with a good proof.'),
        })
        .optional()
        .describe(
          'A user with a good token, or whom `service` acts for. Without it, and without `service`: anonymous.',
        ),
      service: name.optional().describe('A calling service, on the internal listener.'),
    })
    .describe('What is asked.'),
  expect: z
    .strictObject({
      allowed: z.boolean().describe('Whether it reaches an upstream.'),
      status: z.int().min(400).max(599).optional().describe('Of the refusal.'),
      code: text.optional().describe('Of the refusal.'),
      route: name.optional().describe('The route that is chosen.'),
      upstream: name.optional().describe('The upstream that gets it.'),
      path: text.optional().describe('The path that the upstream gets.'),
    })
    .describe('What must become of it.'),
});

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
        maxPerAddress: z
          .int()
          .min(1)
          .max(10_000)
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
export type IssuerPart = z.output<typeof issuer>;
