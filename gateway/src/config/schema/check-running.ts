import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig } from '../config.ts';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';

/** What was settled when the process started. */
export type Settled = Pick<GatewayConfig, 'listen' | 'admin' | 'redis' | 'certificate'>;

/** What cannot change while the gateway runs. Taken half, such a file would be neither the old configuration nor the new one. */
export function checkRunning(parts: Pick<Parts, 'listen' | 'admin' | 'redis'>, running: Settled): readonly Finding[] {
  const findings: Finding[] = [];
  const refuse = (path: Finding['path']) =>
    findings.push({ path, message: 'cannot change while the gateway runs: restart it, or put back what was here' });
  for (const [name, address] of Object.entries(running.listen)) {
    const wanted = parts.listen?.[name as keyof Settled['listen']];
    if (wanted !== undefined && !isDeepStrictEqual(wanted, address)) refuse(['listen', name]);
  }
  // Which certificate may change; whether there is one is settled.
  const speaksTls = parts.listen?.written.has('tls') === true;
  if (parts.listen !== undefined && speaksTls !== (running.certificate !== undefined)) {
    refuse(speaksTls ? ['listen', 'tls'] : ['listen']);
  }
  // Malformed, it is a problem of its own.
  if (parts.admin !== undefined && !isDeepStrictEqual(parts.admin, running.admin)) refuse(['admin']);
  if (parts.redis !== running.redis) refuse(['redis']);
  return findings;
}
