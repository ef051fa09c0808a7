import type { Server, ServerOptions } from 'node:http';
import { createServer } from 'node:https';
import type { Certificate } from '../config/config.ts';

/** TLS 1.2 and 1.3 with Node's ciphers, and HTTP/1.1. New connections pick up a renewed certificate. */
export function createTlsServer(httpOptions: ServerOptions, certificateNow: () => Certificate, headMs: number): Server {
  const contextOf = ({ cert, key, clients }: Certificate) => ({
    cert,
    key,
    minVersion: 'TLSv1.2' as const,
    ...(clients && { ca: clients.ca }),
  });
  let inUse = certificateNow();
  const server = createServer({
    ...httpOptions,
    ...contextOf(inUse),
    requestCert: inUse.clients !== undefined,
    rejectUnauthorized: inUse.clients?.mode === 'require',
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: headMs,
  });
  // Prepended, because Node's own listener starts the handshake.
  server.prependListener('connection', () => {
    const now = certificateNow();
    if (now.cert === inUse.cert && now.key === inUse.key && now.clients?.ca === inUse.clients?.ca) return;
    server.setSecureContext(contextOf(now));
    inUse = now;
  });
  return server;
}
