import type { IncomingMessage } from 'node:http';
import { parse as parseQuery } from 'node:querystring';
import type { Duplex } from 'node:stream';
import type { Identity, UserIdentity } from '@countersign/identity';
import type { Logger } from '@countersign/process-kit';
import { type WebSocket, WebSocketServer } from 'ws';
import { knownRoles } from '../../domain/access.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { eventJson, eventsPath, eventsQuery, slowClientMs } from './event-stream.ts';

/** Takes over the socket of a verified upgrade request. */
type TakeUpgrade = (identity: Identity, req: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Close codes (RFC 6455 section 7.4.1). */
const goingAway = 1001;
const policyViolation = 1008;
const internalError = 1011;
const tryAgainLater = 1013;

/** A peer that does not answer the close frame must not keep the process from stopping. */
const closeWithinMs = 1_000;

/** Sends the same events as the stream over a WebSocket. A message from the peer closes it. */
export function eventSocket(parts: FlowParts, logger: Logger): TakeUpgrade {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: 1024,
    perMessageDeflate: false,
    handleProtocols: () => false,
  });
  return (identity, req, socket, head) => {
    const [path, query = ''] = (req.url ?? '').split('?');
    const isKnown = identity.kind === 'user' && (knownRoles as readonly string[]).includes(identity.role);
    const refuse = (status: string) => socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`);
    if (path !== eventsPath) return refuse('404 Not Found');
    if (!isKnown) return refuse('403 Forbidden');
    const wanted = eventsQuery.safeParse(parseQuery(query));
    if (!wanted.success) return refuse('422 Unprocessable Content');
    server.handleUpgrade(req, socket, head, (ws) => {
      follow(parts, { ws, identity, lastId: wanted.data.last_event_id }).catch((error: unknown) => {
        logger.error({ err: error }, 'an event socket failed');
        ws.close(internalError);
      });
    });
  };
}

async function follow(
  { feed, streams }: FlowParts,
  { ws, identity, lastId }: Readonly<{ ws: WebSocket; identity: UserIdentity; lastId: string | undefined }>,
): Promise<void> {
  const gone = new AbortController();
  ws.once('close', () => gone.abort());
  ws.on('error', () => ws.terminate());
  ws.on('message', () => ws.close(policyViolation, 'this socket does not accept messages'));
  let close: () => void;
  try {
    close = streams.open(identity);
  } catch {
    ws.close(tryAgainLater, 'too many streams');
    return;
  }
  try {
    for await (const events of feed.follow(identity, { lastId, signal: gone.signal, onQuiet: () => ws.ping() })) {
      if (events === 'missed') await send(ws, JSON.stringify({ event: { type: 'reset' } }));
      else for (const event of events) await send(ws, JSON.stringify({ id: event.id, event: eventJson(event) }));
    }
    ws.close(goingAway);
    setTimeout(() => ws.terminate(), closeWithinMs).unref();
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  } finally {
    close();
  }
}

/** Resolves once the kernel has accepted the message. Disconnects a peer that reads nothing for too long. */
function send(ws: WebSocket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const slow = setTimeout(() => ws.terminate(), slowClientMs);
    ws.send(text, (error) => {
      clearTimeout(slow);
      if (error) reject(error);
      else resolve();
    });
  });
}
