import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { proxySecretHeader } from '@countersign/proxy-config';
import type { Decision } from '../config/config.ts';

/** The connection and headers of a call, which prove that the proxy made it. For HTTP/1.1 and HTTP/2. */
export type ProofOfCall = Readonly<{ socket: Socket; rawHeaders: readonly string[] }>;

/**
 * Checks that a call comes from the configured proxy. A Unix socket needs no other proof: its group and the mode of
 * its directory decide which processes may connect.
 *
 * @returns A check that is true for a proven call.
 */
export function createProxyProof(
  { secrets, clientCa, trust }: Pick<Decision, 'secrets' | 'clientCa' | 'trust'>,
  isSocket: boolean,
): (call: ProofOfCall) => boolean {
  if (isSocket || trust !== 'none') return () => true;
  const accepted = secrets.map(digestOf);
  return (call) => {
    if (clientCa !== undefined && (call.socket as TLSSocket).authorized !== true) return false;
    return accepted.length === 0 ? clientCa !== undefined : hasSecret(call, accepted);
  };
}

function hasSecret({ rawHeaders }: ProofOfCall, accepted: readonly Buffer[]): boolean {
  const sent = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === proxySecretHeader);
  // Digests have equal lengths. Comparing all of them hides from timing which secret was close.
  const digest = digestOf(Buffer.from(sent[0] ?? '', 'latin1'));
  const matches = accepted.map((secret) => timingSafeEqual(secret, digest));
  return sent.length === 1 && matches.includes(true);
}

const digestOf = (secret: Uint8Array): Buffer => createHash('sha256').update(secret).digest();
