import { proxyNames } from '@countersign/proxy-config';
import { z } from 'zod';
import { trust } from './values/key-class.ts';
import {
  type Address,
  address,
  addressPattern,
  filePath,
  parseAddress,
  parsedText,
  secretKeys,
  unique,
} from './values/scalars.ts';
import { allowedHost } from './values/urls.ts';

/** A TCP address, or the absolute path of a Unix socket. */
export type DecisionAddress = Address | Readonly<{ socket: string }>;

export const isSocket = (address: DecisionAddress): address is Readonly<{ socket: string }> => 'socket' in address;

const decisionAddress = parsedText<DecisionAddress>(
  'address',
  'an address to listen on, such as "127.0.0.1:8091" or "unix:/run/countersign/decision.sock"',
  // The kernel allows at most 107 bytes in the path of a socket.
  (given) => (/^unix:\/[^\0]{1,100}$/.test(given) ? { socket: given.slice('unix:'.length) } : parseAddress(given)),
  new RegExp(`^unix:/|${addressPattern.source}`),
);

export const decision = z
  .strictObject({
    proxy: z
      .enum(proxyNames)
      .meta(trust('The proxy that asks for decisions. The gateway reads only the headers that this proxy sends.')),
    ...secretKeys('secret', 'Sent by the proxy in `x-countersign-proxy-secret`: 32 bytes or more, from a variable.'),
    ...secretKeys('secretNext', 'A second accepted secret, for use while you replace the first.'),
    clientCa: filePath
      .optional()
      .meta(trust("A PEM file with the CAs that sign the proxy's certificate. Requires `listen.tls`.")),
    trust: z
      .enum(['none', 'loopback', 'network'])
      .default('none')
      .meta(trust('Which requests need no proof: `none`, those from this machine (`loopback`), or all (`network`).')),
    group: z
      .string()
      .regex(/^[a-z_][a-z0-9_-]{0,31}$/, { error: 'must be the name of a group on this machine' })
      .optional()
      .meta(trust('The group that may connect to the Unix socket.')),
  })
  .describe('Answers the auth requests of another proxy.');

export type DecisionPart = z.output<typeof decision>;

export const listen = z.strictObject({
  public: address.prefault('127.0.0.1:8080').meta(trust('The address that clients connect to.')),
  admin: address
    .prefault('127.0.0.1:9090')
    .meta(trust('The address for operators, with health, metrics and the key set.')),
  internal: address
    .prefault('127.0.0.1:8090')
    .meta(trust('The address for services, with the key set and nested calls.')),
  decision: decisionAddress.optional().meta(trust('The address where another proxy asks for decisions.')),
  events: address.optional().meta(trust('The address that providers send events to. Default: the `public` address.')),
  tls: z
    .strictObject({
      cert: filePath.meta(trust('A PEM file with the certificate, followed by its chain.')),
      key: filePath.meta(trust("A PEM file with the certificate's private key, without a passphrase.")),
      clients: z
        .strictObject({
          ca: filePath.meta(trust('A PEM file with the CAs that sign client certificates.')),
          mode: z
            .enum(['request', 'require'])
            .prefault('request')
            .meta(trust('Whether a client certificate is optional. `require` refuses connections that have none.')),
        })
        .optional()
        .describe('Asks clients for a certificate. Tokens may be bound to that certificate (RFC 8705).'),
    })
    .optional()
    .describe('Serves `public` only over TLS 1.2 and 1.3. The gateway reads the files again when they change.'),
});

export const admin = z
  .strictObject({
    console: z
      .boolean()
      .default(true)
      .meta(trust('Whether the admin listener serves the console and its API.', 'more')),
    allowedHosts: unique(allowedHost)
      .prefault([])
      .meta(
        trust('Additional accepted `Host` values; without a port, any port. Requests with others get 421.', 'more'),
      ),
  })
  .prefault({})
  .describe('Settings for the admin listener. It always accepts `localhost` and its own address, with its own port.');
