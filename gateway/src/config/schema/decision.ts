import { type ProxyName, proxyNames } from '@countersign/proxy-config';
import { z } from 'zod';
import type { Pieces } from './cross-checks.ts';
import { type Address, addressPattern, filePath, parseAddress, parsedText, text } from './values/scalars.ts';

/** A TCP address, or the absolute path of a Unix socket. */
export type DecisionAddress = Address | Readonly<{ socket: string }>;

export const isSocket = (address: DecisionAddress): address is Readonly<{ socket: string }> => 'socket' in address;

export const decisionAddress = parsedText<DecisionAddress>(
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
      .describe('The proxy that asks for decisions. The gateway reads only the headers that this proxy sends.'),
    secret: text
      .optional()
      .describe('The secret that the proxy sends in `x-countersign-proxy-secret`, at least 32 bytes, from a variable.'),
    secretFile: filePath.optional().describe('A file with the secret, instead of `secret`.'),
    secretNext: text.optional().describe('A second accepted secret, for use while you replace the first.'),
    secretNextFile: filePath.optional().describe('A file with the next secret, instead of `secretNext`.'),
    clientCa: filePath
      .optional()
      .describe("A PEM file with the CAs that sign the proxy's certificate. Requires `listen.tls`."),
    trust: z
      .enum(['none', 'loopback', 'network'])
      .default('none')
      .describe('Which requests need no proof: `none`, those from this machine (`loopback`), or all (`network`).'),
    group: z
      .string()
      .regex(/^[a-z_][a-z0-9_-]{0,31}$/, { error: 'must be the name of a group on this machine' })
      .optional()
      .describe('The group that may connect to the Unix socket.'),
  })
  .describe('Answers the auth requests of another proxy.');

type DecisionPart = z.output<typeof decision>;
export type DecisionPieces = Pieces<DecisionPart>;

/** How the proxy proves that a request comes from it. */
export type Decision = Readonly<{
  proxy: ProxyName;
  /** The accepted secrets. Empty if the proxy proves itself in another way. */
  secrets: readonly Uint8Array[];
  /** The CAs that sign the proxy's certificate, in PEM. */
  clientCa: string | undefined;
  trust: DecisionPart['trust'];
  group: string | undefined;
}>;

export function resolveDecision(
  { proxy, trust, group }: DecisionPart,
  secrets: readonly Uint8Array[],
  clientCa: string | undefined,
): Decision {
  return { proxy, trust, group, secrets, clientCa };
}
