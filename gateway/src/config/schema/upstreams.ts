import { resolve } from 'node:path';
import { z } from 'zod';
import { type IdentityToken, identityToken } from './identity-token.ts';
import { operations, trust } from './values/key-class.ts';
import { duration, filePath, hostName, pathOnly, secretKeys, size, unique, wholeNumber } from './values/scalars.ts';
import type { Immutable } from './values/shapes.ts';
import { targetOrigin } from './values/urls.ts';

export const httpClient = z
  .enum(['own', 'undici'])
  .default('own')
  .meta(operations("The HTTP client for requests to services: the gateway's own strict client, or undici."));
type HttpClient = z.output<typeof httpClient>;

const secretOptions = {
  ...secretKeys('secret', 'At least 32 bytes, from a variable. No other upstream may have the same secret.'),
  ...secretKeys('next', 'The next secret. `check` and `keys list` include it, but it does not sign yet.'),
};

const algorithmMeaning =
  'The signing algorithm. With `ed25519` and `agreed` the service needs only public keys; `agreed` is as fast as HMAC.';

const form = {
  headers: z
    .boolean()
    .default(true)
    .meta(
      trust(
        'Whether the service receives signed headers. `false` requires `token`, and gives up replay protection.',
        'less',
      ),
    ),
  token: identityToken.optional(),
};

const upstreamIdentity = z
  .discriminatedUnion('algorithm', [
    z.strictObject({ algorithm: z.literal('ed25519').default('ed25519').meta(trust(algorithmMeaning)), ...form }),
    z.strictObject({ algorithm: z.literal('hmac-sha256').meta(trust(algorithmMeaning)), ...secretOptions, ...form }),
    z.strictObject({ algorithm: z.literal('agreed').meta(trust(algorithmMeaning)), ...form }),
  ])
  .prefault({})
  .describe('How the gateway signs. Anyone who reads an hmac secret can impersonate any caller to this upstream.');

const health = z
  .strictObject({
    path: pathOnly.meta(operations('The path to GET. A status from 200 to 299 means healthy.')),
    interval: duration({ min: '100ms', max: '1h' }).prefault('5s').meta(operations('The time between checks, ±10%.')),
    timeout: duration({ min: '1ms', max: '1m' })
      .prefault('2s')
      .meta(operations('The timeout for a check, including connecting.')),
    unhealthyAfter: wholeNumber(1, 10)
      .default(2)
      .meta(operations('How many checks in a row must fail before a target is skipped.')),
    healthyAfter: wholeNumber(1, 10)
      .default(2)
      .meta(operations('How many checks in a row must pass before a target is used again.')),
  })
  .transform(({ interval, timeout, ...rest }) => ({ ...rest, intervalMs: interval, timeoutMs: timeout }))
  .describe('Health checks for every target. If all targets fail, the gateway uses all of them.');

const breaker = z
  .strictObject({
    failureRate: z
      .number()
      .min(0.01)
      .max(1)
      .default(0.5)
      .meta(operations('The share of failed requests that opens the breaker.')),
    minimum: wholeNumber(1, 100_000)
      .default(20)
      .meta(operations('The minimum number of requests in the window before the breaker can open.')),
    window: duration({ min: '100ms', max: '10m' })
      .prefault('10s')
      .meta(operations('The time window in which requests count.')),
    cooldown: duration({ min: '100ms', max: '10m' })
      .prefault('10s')
      .meta(
        operations('How long it stays open before 3 trial requests. With `health`, a passed check closes it earlier.'),
      ),
  })
  .transform(({ window, cooldown, ...rest }) => ({ ...rest, windowMs: window, cooldownMs: cooldown }))
  .describe('Responds 503 immediately while the upstream is unreachable or times out. Other failures do not count.');

const tls = z
  .strictObject({
    ca: filePath.optional().meta(trust("A PEM file with the CAs to trust instead of the system's.")),
    cert: filePath.optional().meta(trust("A PEM file with the gateway's client certificate, followed by its chain.")),
    key: filePath.optional().meta(trust("A PEM file with the certificate's private key.")),
    serverName: hostName.optional().meta(trust("The name in the upstream's certificate. Default: the target's host.")),
  })
  .describe('TLS to https targets, whose certificates are always verified. Files are read again when they change.');

export const upstream = z.strictObject({
  targets: unique(targetOrigin).min(1).max(64).meta(trust("The origins of the service's instances.", 'more')),
  identity: upstreamIdentity,
  txnToken: z
    .boolean()
    .default(false)
    .meta(trust('Whether the service receives a `txn-token` for calls to other services.', 'more')),
  timeouts: z
    .strictObject({
      connect: duration({ min: '1ms', max: '1m' })
        .prefault('2s')
        .meta(operations('The maximum time to open a connection.')),
      response: duration({ min: '1ms', max: '1h' })
        .prefault('30s')
        .meta(
          operations(
            'The maximum time from the end of the request to the first byte of the response, including retries.',
          ),
        ),
      idle: duration({ min: '1ms', max: '1d' })
        .prefault('60s')
        .meta(operations('The maximum time between two chunks of a request or response body.')),
    })
    .prefault({})
    .transform(({ connect, response, idle }) => ({ connectMs: connect, responseMs: response, idleMs: idle }))
    .describe('Time limits.'),
  paths: z
    .enum(['tolerant', 'exact'])
    .default('tolerant')
    .meta(
      trust(
        'How the service compares paths. `exact`: it distinguishes case, look-alike characters and a trailing slash, so the gateway accepts every spelling.',
      ),
    ),
  minRate: size({ min: '0B', max: '1MiB' })
    .prefault('1KiB')
    .meta(operations('How many bytes per second a client must send or read. `0B` means no minimum.')),
  balance: z
    .enum(['round-robin', 'least-pending'])
    .default('round-robin')
    .meta(operations('How to choose a target: in turn, or by the fewest pending requests.')),
  health: health.optional(),
  retry: z
    .strictObject({ attempts: wholeNumber(0, 3).default(1).meta(operations('How many attempts follow the first.')) })
    .optional()
    .describe('Retries idempotent requests that received no response bytes. Default: no retries.'),
  breaker: breaker.optional(),
  tls: tls.optional(),
});

type UpstreamPart = z.output<typeof upstream>;

/** A service behind the gateway. Its name is the audience of the signatures that it receives. */
export type Upstream = Immutable<ReturnType<typeof resolveUpstream>>;

/**
 * How the gateway signs requests to one upstream. `agreed` uses an HMAC key that both sides derive from published
 * keys, and ed25519 until there is such a key. `next` will replace `secret`: `countersign keys list` prints the keyid
 * of both, but the gateway does not sign with `next` yet.
 */
export type UpstreamIdentity = Readonly<{ headers: boolean; token: IdentityToken | undefined }> &
  (
    | Readonly<{ algorithm: 'ed25519' | 'agreed' }>
    | Readonly<{ algorithm: 'hmac-sha256'; secret: Uint8Array; next: Uint8Array | undefined }>
  );

type UpstreamOptions = Readonly<{ identity: UpstreamIdentity; directory: string; httpClient: HttpClient }>;

export function resolveUpstream(name: string, part: UpstreamPart, { directory, ...options }: UpstreamOptions) {
  return {
    ...part,
    ...options,
    name,
    retry: { attempts: part.retry?.attempts ?? 0 },
    tls: part.tls && resolveTls(part.tls, directory),
  };
}

export type UpstreamTls = Readonly<ReturnType<typeof resolveTls>>;

export function resolveTls({ ca, cert, key, serverName }: z.output<typeof tls>, directory: string) {
  const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(directory, path));
  return { caFile: absolute(ca), certFile: absolute(cert), keyFile: absolute(key), serverName };
}
