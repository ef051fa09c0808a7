import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { listen, StartupError } from '@countersign/process-kit';
import type { Certificate, GatewayConfig } from '../config/config.ts';
import { type DecisionAddress, isSocket } from '../config/schema/listen.ts';
import { createListener, defaultHeadMs, type ListenerTimes } from '../listen/listener.ts';
import { createListenerApp, type LiveHandlers } from '../listen/request-handler.ts';
import type { DecisionHandlers } from './decide.ts';
import { joinHttp2 } from './http2-connections.ts';

/** Serves HTTP/1.1 and, if the proxy speaks it, HTTP/2. Uses TLS if the configuration names the proxy's CAs. */
export function buildDecisionListener(
  live: LiveHandlers & Readonly<{ current: Readonly<{ handlers: { decision: DecisionHandlers | undefined } }> }>,
  configNow: () => Pick<GatewayConfig, 'certificate' | 'decision'>,
  times: ListenerTimes = {},
): Readonly<{ server: Server; drainHttp2(graceMs: number): void }> {
  const answerNow = () => live.current.handlers.decision?.check;
  const hasTls = configNow().decision?.clientCa !== undefined;
  const server = createListener(createListenerApp(live, 'decision'), {
    certificateNow: hasTls ? () => proxyCertificate(configNow()) : undefined,
    times,
    upgrades: false,
    offersHttp2: () => answerNow() !== undefined,
  });
  const event = hasTls ? 'secureConnection' : 'connection';
  return { server, drainHttp2: joinHttp2({ server, event, headMs: times.headMs ?? defaultHeadMs, answerNow }) };
}

/** The public certificate, and a request for one that the proxy's CAs signed. */
function proxyCertificate({ certificate, decision }: Pick<GatewayConfig, 'certificate' | 'decision'>): Certificate {
  if (certificate === undefined || decision?.clientCa === undefined) throw new Error('checked when the file is read');
  // A call without a certificate gets a 503 with an error code. A failed handshake could not carry one.
  return { ...certificate, clients: { ca: decision.clientCa, mode: 'request' } };
}

/** @returns The port, or 0 for a Unix socket. Rejects with StartupError if the address cannot be opened. */
export async function listenForProxy(
  server: Server,
  address: DecisionAddress,
  { decision }: Pick<GatewayConfig, 'decision'>,
): Promise<number> {
  if (!isSocket(address)) return listen(server, address, 'decision listener');
  const { socket } = address;
  const gid = decision?.group === undefined ? undefined : groupId(decision.group);
  const directory = dirname(socket);
  const isNew = mkdirSync(directory, { recursive: true, mode: 0o750 }) !== undefined;
  await removeStale(socket);
  // Restricts the socket to owner and group before anything can connect.
  const umask = process.umask(0o117);
  try {
    server.listen({ path: socket });
    await once(server, 'listening');
  } catch (cause) {
    throw new StartupError(`decision listener: ${socket} cannot be opened (${codeOf(cause)})`, { cause });
  } finally {
    process.umask(umask);
  }
  if (gid !== undefined) for (const path of isNew ? [socket, directory] : [socket]) chownSync(path, -1, gid);
  return 0;
}

/** Removes the socket that an ended process left behind. Keeps a socket that still accepts connections. */
async function removeStale(path: string): Promise<void> {
  const probe = connect(path);
  try {
    await once(probe, 'connect');
  } catch (error) {
    if (codeOf(error) === 'ECONNREFUSED') rmSync(path);
    return;
  } finally {
    probe.destroy();
  }
  throw new StartupError(`decision listener: ${path} is already in use`);
}

function groupId(name: string): number {
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`));
  if (line === undefined) throw new StartupError(`decision.group: this machine has no group ${name}`);
  return Number(line.split(':')[2]);
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown error';
